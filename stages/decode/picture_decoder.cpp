#include "stages/decode/picture_decoder.h"

#include <algorithm>

namespace cfp {
namespace {

/// A file may be nothing but damage; remembering more than this of it helps nobody.
constexpr std::size_t kMaxDamages = 100'000;
/// Errors in a row after which a decoder that is being emptied is taken to be stuck.
constexpr int kMaxErrorsAtEnd = 64;

}  // namespace

void PictureDecoder::ignore_pixels() {
  decoder_->skip_loop_filter = AVDISCARD_ALL;
  decoder_->skip_idct = AVDISCARD_ALL;
}

void PictureDecoder::mark_damaged(std::int64_t position, const std::string& why) {
  if (damages_.size() < kMaxDamages) damages_.push_back({position, why});
}

void PictureDecoder::feed(const AVPacket& packet, std::int64_t position, bool skips_unreferenced,
                          const Take& take) {
  // With one thread and every picture taken at once, a packet is decoded within this call, so the
  // choice applies to it alone.
  decoder_->skip_frame = skips_unreferenced ? AVDISCARD_NONREF : AVDISCARD_DEFAULT;
  decoder_->reordered_opaque = position;  // comes back with the picture
  capture_ffmpeg_log();
  int status = avcodec_send_packet(decoder_.get(), &packet);
  if (status == AVERROR(EAGAIN)) {
    receive_all(take);
    status = avcodec_send_packet(decoder_.get(), &packet);
  }
  if (status < 0) mark_damaged(position, failure_text(status));
  status = receive_all(take);
  if (status < 0) mark_damaged(position, failure_text(status));
  // FFV1's decoder fills a slice whose checksum is wrong from the picture before, marks nothing,
  // and returns success; it only complains.
  if (decoder_->codec_id == AV_CODEC_ID_FFV1 && !first_complaint().empty()) {
    mark_damaged(position, first_complaint());
  }
}

void PictureDecoder::finish(const Take& take) {
  decoder_->skip_frame = AVDISCARD_DEFAULT;
  avcodec_send_packet(decoder_.get(), nullptr);
  for (int errors = 0; errors < kMaxErrorsAtEnd && receive_all(take) < 0;) ++errors;
  avcodec_flush_buffers(decoder_.get());
}

/// @return 0 when all pictures are taken, else FFmpeg's status
int PictureDecoder::receive_all(const Take& take) {
  while (true) {
    const int status = avcodec_receive_frame(decoder_.get(), picture_.get());
    if (status == AVERROR(EAGAIN) || status == AVERROR_EOF) return 0;
    if (status < 0) return status;
    const std::int64_t position = picture_->reordered_opaque;
    if ((picture_->flags & AV_FRAME_FLAG_CORRUPT) != 0 || picture_->decode_error_flags != 0) {
      mark_damaged(position, first_complaint().empty() ? "the decoder marks the picture as damaged"
                                                       : first_complaint());
    }
    take(*picture_, position);
  }
}

std::string PictureDecoder::damage_between(std::int64_t first, std::int64_t last) const {
  const auto is_from = [&](const Damage& damage) { return damage.position >= first; };
  const bool is_damaged = std::ranges::any_of(
      damages_, [&](const Damage& damage) { return is_from(damage) && damage.position <= last; });
  if (!is_damaged) return {};
  // What was noticed first is the cause, even where FFmpeg blames a neighbour for it.
  return std::ranges::find_if(damages_, is_from)->why;
}

}  // namespace cfp
