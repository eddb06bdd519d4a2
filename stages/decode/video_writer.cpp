#include "stages/decode/video_writer.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <stdexcept>
#include <utility>

#include <fmt/format.h>
#include <unistd.h>

#include "stages/core/errors.h"
#include "stages/decode/ffmpeg.h"

namespace cfp {
namespace fs = std::filesystem;
namespace {

using Codec = VideoWriterOptions::Codec;

/// A whole number of ticks are 1/24, 1/25, 1/30, 1/50 and 1001/30000 s; MPEG-4 takes at most 65535.
constexpr int kTicksPerSecond = 60'000;

/// No video lasts so long, and its ticks fit 64 bits with room to spare.
constexpr double kLongest_s = 1e9;

void close_output(AVFormatContext* output) {
  avio_closep(&output->pb);
  avformat_free_context(output);
}
using AvOutputPtr = CPtr<AVFormatContext, close_output>;

Codec chosen_codec(Codec wanted) {
  if (wanted != Codec::kAuto) return wanted;
  return avcodec_find_encoder_by_name("libx264") != nullptr ? Codec::kH264 : Codec::kMpeg4;
}

const char* encoder_name(Codec codec) {
  switch (codec) {
    case Codec::kH264:
      return "libx264";
    case Codec::kFfv1:
      return "ffv1";
    default:
      return "mpeg4";
  }
}

void check_arguments(const fs::path& path, int width, int height,
                     const VideoWriterOptions& options) {
  if (width < 1 || height < 1 || width > kMaxSide_px || height > kMaxSide_px) {
    throw ConfigError(
        fmt::format("{}: a video of {} x {} pixels cannot be written; sides are 1 to {}",
                    path.string(), width, height, kMaxSide_px));
  }
  if (chosen_codec(options.codec) == Codec::kH264 && (width % 2 != 0 || height % 2 != 0)) {
    throw ConfigError(
        fmt::format("{}: H.264 needs even sides, not {} x {}", path.string(), width, height));
  }
  if (!(options.fps > 0) || options.fps > 1000) {
    throw ConfigError(fmt::format("{}: fps is {}; it must be above 0 and at most 1000",
                                  path.string(), options.fps));
  }
  if (options.crf < 0 || options.crf > 51) {
    throw ConfigError(fmt::format("{}: crf is {}; it must be 0 to 51", path.string(), options.crf));
  }
  const std::string extension = path.extension().string();
  if (extension != ".mp4" && extension != ".mkv") {
    throw ConfigError(fmt::format("{}: videos are written as .mp4 or .mkv", path.string()));
  }
  if (options.codec == Codec::kFfv1 && extension != ".mkv") {
    throw ConfigError(fmt::format("{}: FFV1 is written as .mkv", path.string()));
  }
}

}  // namespace

struct VideoWriter::State {
  fs::path path;
  fs::path temporary;
  AvOutputPtr output;
  AvCodecContextPtr encoder;
  AvFramePtr frame;
  AvPacketPtr packet;
  SwsContextPtr converter;
  AVStream* stream = nullptr;  // owned by output
  bool has_times = false;
  std::int64_t next_pts = 0;                             // the least that the next frame may have
  std::map<std::int64_t, std::int64_t> duration_of_pts;  // of frames inside the encoder

  State(const fs::path& path, int width, int height, const VideoWriterOptions& options);
  ~State();
  void open_encoder(int width, int height, const VideoWriterOptions& options);
  void open_file();
  void prepare_conversion();
  void write(const std::uint8_t* rgb, std::int64_t pts, std::int64_t duration);
  void encode(const AVFrame* frame_or_end);
  void finish();
  void require(int status, const char* what) const;
};

/// The one place where a status of FFmpeg becomes an error of ours.
void VideoWriter::State::require(int status, const char* what) const {
  if (status < 0) {
    throw SystemError(fmt::format("{}: {}: {}", path.string(), what, failure_text(status)));
  }
}

VideoWriter::State::State(const fs::path& path, int width, int height,
                          const VideoWriterOptions& options)
    : path(path),
      temporary(fmt::format("{}.tmp-{}", path.string(), getpid())),
      frame(checked_allocation(AvFramePtr(av_frame_alloc()))),
      packet(checked_allocation(AvPacketPtr(av_packet_alloc()))) {
  capture_ffmpeg_log();
  AVFormatContext* raw_output = nullptr;
  const char* container = path.extension() == ".mkv" ? "matroska" : "mp4";
  const int status =
      avformat_alloc_output_context2(&raw_output, nullptr, container, file_url(temporary).c_str());
  require(status, "FFmpeg cannot make the container");
  output.reset(raw_output);
  output->flags |= AVFMT_FLAG_BITEXACT;  // no date, no library version, no random ids
  has_times = options.has_times;
  if (!options.title.empty()) {
    require(av_dict_set(&output->metadata, "title", options.title.c_str(), 0),
            "cannot name the file");
  }
  open_encoder(width, height, options);
  prepare_conversion();
  open_file();
}

VideoWriter::State::~State() {
  if (output == nullptr) return;  // finished
  output.reset();
  std::error_code ignored;  // the file may not be there yet
  fs::remove(temporary, ignored);
}

void VideoWriter::State::open_encoder(int width, int height, const VideoWriterOptions& options) {
  const Codec codec_kind = chosen_codec(options.codec);
  const char* name = encoder_name(codec_kind);
  const AVCodec* codec = avcodec_find_encoder_by_name(name);
  if (codec == nullptr) {
    throw SystemError(fmt::format("{}: this FFmpeg has no encoder '{}'", path.string(), name));
  }
  encoder = checked_allocation(AvCodecContextPtr(avcodec_alloc_context3(codec)));
  encoder->width = width;
  encoder->height = height;
  if (options.has_times) {
    encoder->time_base = {1, kTicksPerSecond};
    encoder->max_b_frames =
        0;  // frames in the order of their times: the last one's duration is kept
  } else {
    encoder->framerate = av_d2q(options.fps, 1001000);
    encoder->time_base = av_inv_q(encoder->framerate);
  }
  encoder->thread_count = 1;  // x264's rate control depends on how many threads there are
  encoder->flags |= AV_CODEC_FLAG_BITEXACT;
  if (output->oformat->flags & AVFMT_GLOBALHEADER) encoder->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
  if (codec_kind == Codec::kFfv1) {
    encoder->pix_fmt = AV_PIX_FMT_0RGB32;
  } else {
    encoder->pix_fmt = AV_PIX_FMT_YUV420P;
    // Said in the file, so that no reader has to guess from the size of the picture.
    encoder->colorspace = AVCOL_SPC_SMPTE170M;
    encoder->color_range = AVCOL_RANGE_MPEG;
  }
  if (codec_kind == Codec::kMpeg4) {
    encoder->flags |= AV_CODEC_FLAG_QSCALE;
    encoder->global_quality = FF_QP2LAMBDA * std::clamp(options.crf / 6, 1, 31);
  }
  if (codec_kind == Codec::kH264) {
    require(av_opt_set_double(encoder->priv_data, "crf", options.crf, 0), "cannot set crf");
    // Its look-ahead is the one part of x264 that gave the same frames other bytes from run to run.
    require(av_opt_set_int(encoder->priv_data, "mbtree", 0, 0), "cannot set mbtree");
  }
  require(avcodec_open2(encoder.get(), codec, nullptr), "the encoder refuses these options");
}

void VideoWriter::State::open_file() {
  stream = checked_allocation(avformat_new_stream(output.get(), nullptr));
  stream->time_base = encoder->time_base;
  stream->avg_frame_rate = encoder->framerate;
  require(avcodec_parameters_from_context(stream->codecpar, encoder.get()),
          "cannot describe the stream");
  require(avio_open(&output->pb, file_url(temporary).c_str(), AVIO_FLAG_WRITE),
          "cannot create the file");
  require(avformat_write_header(output.get(), nullptr), "cannot write the header");
}

void VideoWriter::State::prepare_conversion() {
  frame->format = encoder->pix_fmt;
  frame->width = encoder->width;
  frame->height = encoder->height;
  frame->colorspace = encoder->colorspace;
  frame->color_range = encoder->color_range;
  require(av_frame_get_buffer(frame.get(), 0), "cannot allocate a frame");
  converter.reset(sws_getContext(encoder->width, encoder->height, AV_PIX_FMT_RGB24, encoder->width,
                                 encoder->height, encoder->pix_fmt,
                                 SWS_BILINEAR | SWS_ACCURATE_RND | SWS_FULL_CHR_H_INP, nullptr,
                                 nullptr, nullptr));
  if (converter == nullptr) {
    throw SystemError(fmt::format("{}: FFmpeg cannot convert RGB to {}", path.string(),
                                  av_get_pix_fmt_name(encoder->pix_fmt)));
  }
}

void VideoWriter::State::encode(const AVFrame* frame_or_end) {
  require(avcodec_send_frame(encoder.get(), frame_or_end), "the encoder refuses a frame");
  while (true) {
    const int status = avcodec_receive_packet(encoder.get(), packet.get());
    if (status == AVERROR(EAGAIN) || status == AVERROR_EOF) return;
    require(status, "the encoder failed");
    packet->stream_index = stream->index;
    const auto written = duration_of_pts.find(packet->pts);
    if (written != duration_of_pts.end()) {
      packet->duration = written->second;
      duration_of_pts.erase(written);
    }
    av_packet_rescale_ts(packet.get(), encoder->time_base, stream->time_base);
    require(av_interleaved_write_frame(output.get(), packet.get()), "cannot write");
  }
}

void VideoWriter::State::write(const std::uint8_t* rgb, std::int64_t pts, std::int64_t duration) {
  capture_ffmpeg_log();
  require(av_frame_make_writable(frame.get()), "cannot allocate a frame");
  const AvFramePtr source = rgb_frame(rgb, frame->width, frame->height);
  require(sws_scale(converter.get(), source->data, source->linesize, 0, frame->height, frame->data,
                    frame->linesize),
          "cannot convert a frame");
  frame->pts = pts;
  next_pts = pts + 1;
  duration_of_pts[pts] = duration;
  encode(frame.get());
}

void VideoWriter::State::finish() {
  encode(nullptr);
  require(av_write_trailer(output.get()), "cannot write the end of the file");
  require(avio_closep(&output->pb), "cannot close the file");
  std::error_code failed;
  fs::rename(temporary, path, failed);
  if (failed) {
    throw SystemError(fmt::format("{}: cannot rename {} to it: {}", path.string(),
                                  temporary.string(), failed.message()));
  }
  output.reset();
}

VideoWriter::VideoWriter(const fs::path& path, int width, int height,
                         const VideoWriterOptions& options) {
  check_arguments(path, width, height, options);
  state_ = std::make_unique<State>(path, width, height, options);
}

VideoWriter::~VideoWriter() = default;
VideoWriter::VideoWriter(VideoWriter&&) noexcept = default;
VideoWriter& VideoWriter::operator=(VideoWriter&&) noexcept = default;

void VideoWriter::write(const std::uint8_t* rgb) {
  if (state_ == nullptr) throw std::logic_error("VideoWriter::write() after finish()");
  if (state_->has_times) throw std::logic_error("a frame of this video needs a time");
  state_->write(rgb, state_->next_pts, 1);
}

void VideoWriter::write(const std::uint8_t* rgb, double time_s, double duration_s) {
  if (state_ == nullptr) throw std::logic_error("VideoWriter::write() after finish()");
  if (!state_->has_times) throw std::logic_error("the frames of this video have no times");
  if (!(time_s >= 0 && time_s <= kLongest_s) || !(duration_s > 0 && duration_s <= kLongest_s)) {
    throw std::invalid_argument(fmt::format("a frame at {} s, shown for {} s", time_s, duration_s));
  }
  const std::int64_t pts = std::llround(time_s * kTicksPerSecond);
  if (pts < state_->next_pts) {
    throw std::invalid_argument(fmt::format("a frame at {} s, not after the one before", time_s));
  }
  state_->write(rgb, pts, std::max<std::int64_t>(1, std::llround(duration_s * kTicksPerSecond)));
}

void VideoWriter::finish() {
  if (state_ == nullptr) throw std::logic_error("VideoWriter::finish() called twice");
  capture_ffmpeg_log();
  state_->finish();
  state_.reset();
}

}  // namespace cfp
