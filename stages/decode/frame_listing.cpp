#include "stages/decode/frame_listing.h"

#include <algorithm>
#include <optional>

namespace cfp {

void list_from_packets(FrameListing& listing, double tick_s) {
  const PacketIndex& index = listing.index;
  const auto packet = [&](std::int64_t position) -> const PacketEntry& {
    return index.packets[static_cast<std::size_t>(position)];
  };
  const std::int64_t zero = index.zero_pts.value_or(packet(index.shown.front()).pts);
  listing.start_time_s = static_cast<double>(zero) * tick_s;
  for (const std::int64_t position : index.shown) {
    listing.frames.push_back({.position = position,
                              .restart = index.restart[static_cast<std::size_t>(position)],
                              .time_s = static_cast<double>(packet(position).pts - zero) * tick_s});
  }
}

void feed(PictureDecoder& decoder, PacketSource& packets, std::int64_t position,
          bool skips_unreferenced, const PictureDecoder::Take& take) {
  if (packets.entry(position).is_damaged) {
    decoder.mark_damaged(position, "the file has only a part of a packet");
  }
  decoder.feed(packets.at(position), position, skips_unreferenced, take);
}

void list_from_decoding(FrameListing& listing, MediaInput& input, const DecodeLimits& limits,
                        const Deadline& deadline) {
  listing.is_listed_by_decoding = true;
  const AVStream& stream = input.stream();
  const double tick_s = av_q2d(stream.time_base);
  const AVRational rate =
      stream.avg_frame_rate.num > 0 ? stream.avg_frame_rate : stream.r_frame_rate;
  const double usual_s = rate.num > 0 && rate.den > 0 ? 1 / av_q2d(rate) : 0.04;
  PictureDecoder decoder(stream, input.path(), limits);
  decoder.ignore_pixels();
  std::vector<ListedFrame>& frames = listing.frames;
  std::optional<std::int64_t> zero = listing.index.zero_pts;
  std::int64_t restart = 0;
  const auto list = [&](const AVFrame& picture, std::int64_t position) {
    const std::int64_t stamp = picture.best_effort_timestamp;
    if (!zero && stamp != AV_NOPTS_VALUE) zero = stamp;
    double time_s = frames.empty() ? 0 : frames.back().time_s + usual_s;
    if (zero && stamp != AV_NOPTS_VALUE) {
      const double stamped_s = static_cast<double>(stamp - *zero) * tick_s;
      if (frames.empty() || stamped_s > frames.back().time_s) time_s = stamped_s;
    }
    if (picture.key_frame) restart = position;
    frames.push_back(
        {.position = position, .restart = std::min(restart, position), .time_s = time_s});
  };
  PacketSource packets(input, listing.index, listing.range, limits, deadline);
  for (std::int64_t i = 0; i < static_cast<std::int64_t>(listing.index.packets.size()); ++i) {
    feed(decoder, packets, i, false, list);
  }
  decoder.finish(list);
  if (zero) listing.start_time_s = static_cast<double>(*zero) * tick_s;
}

}  // namespace cfp
