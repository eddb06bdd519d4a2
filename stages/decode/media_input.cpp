#include "stages/decode/media_input.h"

#include <algorithm>
#include <filesystem>

#include <fmt/format.h>

namespace cfp {
namespace fs = std::filesystem;
namespace {

int is_time_up(void* deadline) { return static_cast<const Deadline*>(deadline)->has_passed(); }

/// What demuxers call to open further files; see MediaInput.
int refuse_to_open(AVFormatContext*, AVIOContext**, const char*, int, AVDictionary**) {
  av_log(nullptr, AV_LOG_ERROR, "it refers to other files, which are not opened");
  return AVERROR(EACCES);
}

void free_dictionary(AVDictionary** options) { av_dict_free(options); }
using AvDictionaryPtr = CPtr<AVDictionary, free_dictionary>;

[[noreturn]] void fail(FailureReason reason, const std::string& path, const std::string& why) {
  throw DataError(reason, fmt::format("{}: {}", path, why));
}

/// @return the size in bytes of a file that can be opened as video at all
std::int64_t checked_file_size(const std::string& path) {
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (status.type() == fs::file_type::not_found) {
    fail(FailureReason::kMissing, path, "no such file");
  }
  if (error) fail(FailureReason::kUnreadable, path, error.message());
  if (status.type() == fs::file_type::directory) {
    fail(FailureReason::kUnreadable, path, "is a folder, not a video file");
  }
  // Opening a pipe or a device could wait for ever.
  if (status.type() != fs::file_type::regular) {
    fail(FailureReason::kUnreadable, path, "is not a regular file");
  }
  const std::uintmax_t bytes = fs::file_size(path, error);
  if (error) fail(FailureReason::kUnreadable, path, error.message());
  if (bytes == 0) fail(FailureReason::kEmpty, path, "the file has no bytes");
  return static_cast<std::int64_t>(bytes);
}

/// Formats that name other files or addresses; those that open them without asking io_open.
bool is_list_of_files(const AVInputFormat& container) {
  const std::string_view name = container.name;
  for (const std::string_view list : {"concat", "dash", "hls", "imf", "rtsp", "sdp"}) {
    if (name == list) return true;
  }
  return false;
}

/// Codecs that render text files as pictures: a text file is no video.
bool is_text_art(AVCodecID codec) {
  return codec == AV_CODEC_ID_ANSI || codec == AV_CODEC_ID_BINTEXT || codec == AV_CODEC_ID_XBIN ||
         codec == AV_CODEC_ID_IDF;
}

}  // namespace

MediaInput::MediaInput(const std::string& path, const DecodeLimits& limits,
                       const Deadline& deadline, Analysis analysis)
    : path_(path), deadline_(deadline), file_bytes_(checked_file_size(path)) {
  capture_ffmpeg_log();
  open_file(path);
  open_container(path);
  if (analysis == Analysis::kFull || !says_all_in_header()) analyse(path, limits);
  choose_stream(path);
  check_size(path, limits);
}

void MediaInput::open_file(const std::string& path) {
  const AVIOInterruptCB interrupt = {is_time_up, &deadline_};
  AVDictionary* raw_options = nullptr;
  av_dict_set(&raw_options, "protocol_whitelist", "file", 0);
  AVIOContext* raw_io = nullptr;
  const int status =
      avio_open2(&raw_io, file_url(path).c_str(), AVIO_FLAG_READ, &interrupt, &raw_options);
  const AvDictionaryPtr options(raw_options);
  if (status < 0) fail(FailureReason::kUnreadable, path, failure_text(status));
  io_.reset(raw_io);
}

void MediaInput::open_container(const std::string& path) {
  // Found by the content; the name only helps with formats that cannot be told by it.
  const AVInputFormat* container = nullptr;
  int status = av_probe_input_buffer2(io_.get(), &container, path.c_str(), nullptr, 0, 0);
  deadline_.check(path);
  if (status < 0) fail(FailureReason::kUnreadable, path, failure_text(status));
  if (is_list_of_files(*container)) {
    fail(FailureReason::kUnreadable, path,
         fmt::format("is a list of other files ({}), which are not opened", container->name));
  }

  AVFormatContext* raw_format = checked_allocation(avformat_alloc_context());
  raw_format->pb = io_.get();
  raw_format->interrupt_callback = {is_time_up, &deadline_};
  raw_format->io_open = refuse_to_open;
  status = avformat_open_input(&raw_format, file_url(path).c_str(), container, nullptr);
  format_.reset(raw_format);  // null where opening failed, which also frees it
  deadline_.check(path);
  if (status == AVERROR_EOF) {
    fail(FailureReason::kEmpty, path, "the file ends before its first frame");
  }
  if (status < 0) fail(FailureReason::kUnreadable, path, failure_text(status));
}

/// With several video streams the choice rests on more than the header.
bool MediaInput::says_all_in_header() const {
  if ((format_->ctx_flags & AVFMTCTX_NOHEADER) != 0) return false;
  int video_streams = 0;
  for (unsigned i = 0; i < format_->nb_streams; ++i) {
    const AVStream& stream = *format_->streams[i];
    const AVCodecParameters& codec = *stream.codecpar;
    if (codec.codec_type != AVMEDIA_TYPE_VIDEO) continue;
    ++video_streams;
    if (codec.width < 1 || codec.height < 1 || codec.codec_id == AV_CODEC_ID_NONE) return false;
    if (format_->duration <= 0 && stream.duration <= 0) return false;
  }
  return video_streams == 1 || (video_streams == 0 && format_->nb_streams > 0);
}

void MediaInput::analyse(const std::string& path, const DecodeLimits& limits) {
  // While it looks for sizes and rates FFmpeg decodes some pictures itself.
  AVDictionary* raw_options = nullptr;
  av_dict_set_int(&raw_options, "max_pixels", limits.max_pixels, 0);
  av_dict_set_int(&raw_options, "threads", 1, 0);
  const AvDictionaryPtr shared_options(raw_options);
  std::vector<AVDictionary*> options(format_->nb_streams, nullptr);
  for (AVDictionary*& copy : options) av_dict_copy(&copy, raw_options, 0);
  const int status = avformat_find_stream_info(format_.get(), options.data());
  for (AVDictionary*& copy : options) av_dict_free(&copy);
  deadline_.check(path);
  if (status < 0) fail(FailureReason::kUnreadable, path, failure_text(status));
}

void MediaInput::choose_stream(const std::string& path) {
  const auto is_cover = [&](int index) {
    return (format_->streams[index]->disposition & AV_DISPOSITION_ATTACHED_PIC) != 0;
  };
  const auto is_video = [&](int index) {
    return format_->streams[index]->codecpar->codec_type == AVMEDIA_TYPE_VIDEO && !is_cover(index);
  };
  int chosen = av_find_best_stream(format_.get(), AVMEDIA_TYPE_VIDEO, -1, -1, nullptr, 0);
  if (chosen >= 0 && is_cover(chosen)) {
    chosen = -1;
    for (int i = 0; i < static_cast<int>(format_->nb_streams); ++i) {
      if (is_video(i) && chosen < 0) chosen = i;
    }
  }
  if (chosen < 0) {
    fail(FailureReason::kNoVideoStream, path,
         fmt::format("there is no video stream; the file has {} other(s), format {}",
                     format_->nb_streams, format_->iformat->name));
  }
  stream_ = format_->streams[chosen];
  if (is_text_art(stream_->codecpar->codec_id)) {
    fail(FailureReason::kUnreadable, path, "is a text file, not a video file");
  }
  for (unsigned i = 0; i < format_->nb_streams; ++i) {
    if (static_cast<int>(i) != chosen) format_->streams[i]->discard = AVDISCARD_ALL;
  }
}

void MediaInput::check_size(const std::string& path, const DecodeLimits& limits) const {
  const std::int64_t width = stream_->codecpar->width;
  const std::int64_t height = stream_->codecpar->height;
  if (width < 1 || height < 1) {
    fail(FailureReason::kDecodeError, path,
         fmt::format("the size of the pictures cannot be found: {}",
                     first_complaint().empty() ? "no picture decodes" : first_complaint()));
  }
  if (width > kMaxSide_px || height > kMaxSide_px || width * height > limits.max_pixels) {
    fail(FailureReason::kUnreadable, path,
         fmt::format("pictures of {} x {} pixels are refused; a side has at most {}, a picture at "
                     "most {} pixels",
                     width, height, kMaxSide_px, limits.max_pixels));
  }
}

int MediaInput::read(AVPacket& packet) {
  while (true) {
    deadline_.check(path_);
    av_packet_unref(&packet);
    const int status = av_read_frame(format_.get(), &packet);
    deadline_.check(path_);
    if (status == AVERROR(EAGAIN)) continue;
    if (status < 0) return status;
    if (packet.stream_index == stream_->index) return 0;
  }
}

bool MediaInput::seek(std::int64_t time_stamp) {
  return av_seek_frame(format_.get(), stream_->index, time_stamp, AVSEEK_FLAG_BACKWARD) >= 0;
}

AvCodecContextPtr open_decoder(const AVStream& stream, const std::string& path,
                               const DecodeLimits& limits) {
  const AVCodecParameters& parameters = *stream.codecpar;
  const AVCodec* codec = avcodec_find_decoder(parameters.codec_id);
  if (codec == nullptr) {
    fail(FailureReason::kUnreadable, path,
         fmt::format("this FFmpeg has no decoder for {}", avcodec_get_name(parameters.codec_id)));
  }
  AvCodecContextPtr decoder = checked_allocation(AvCodecContextPtr(avcodec_alloc_context3(codec)));
  int status = avcodec_parameters_to_context(decoder.get(), &parameters);
  if (status < 0) fail(FailureReason::kUnreadable, path, failure_text(status));
  decoder->pkt_timebase = stream.time_base;
  decoder->thread_count = 1;
  decoder->max_pixels = limits.max_pixels;
  // This decoder shows pictures with damaged slices without marking them, unless told to give up.
  if (parameters.codec_id == AV_CODEC_ID_HEVC) decoder->err_recognition |= AV_EF_EXPLODE;
  status = avcodec_open2(decoder.get(), codec, nullptr);
  if (status < 0) fail(FailureReason::kUnreadable, path, failure_text(status));
  return decoder;
}

}  // namespace cfp
