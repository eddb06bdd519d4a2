// An open media file, read safely; for the sources of this folder alone.
#pragma once

#include <chrono>
#include <string>

#include "stages/core/errors.h"
#include "stages/decode/ffmpeg.h"
#include "stages/decode/video_decoder.h"

namespace cfp {

/// When the time for one clip is used up.
class Deadline {
 public:
  explicit Deadline(double limit_s);
  bool has_passed() const { return std::chrono::steady_clock::now() >= end_; }
  /// @throws DataError `timeout`
  void check(const std::string& path) const;

 private:
  double limit_s_;
  std::chrono::steady_clock::time_point end_;
};

/// One file and its video stream.
///
/// Opens that file and nothing else: not what a playlist or a reference track names, no URL, no
/// pipe, no device. Which video stream: the one marked as default, among several such the one that
/// FFmpeg takes for the best; cover pictures do not count.
class MediaInput {
 public:
  /// @param deadline  outlives this object
  /// @throws DataError `missing`, `unreadable`, `empty`, `no_video_stream`, `timeout`
  MediaInput(const std::string& path, const DecodeLimits& limits, const Deadline& deadline);

  const AVStream& stream() const { return *stream_; }
  const AVFormatContext& format() const { return *format_; }
  std::int64_t file_bytes() const { return file_bytes_; }

  /// Reads the next packet of the video stream.
  /// @return FFmpeg's status; AVERROR_EOF at the end
  /// @throws DataError `timeout`
  int read(AVPacket& packet);

  /// Goes to the last key frame at or before a decoding time stamp, as far as the container knows.
  /// @return whether the container could
  bool seek(std::int64_t time_stamp);

 private:
  void open_file(const std::string& path);
  void open_container(const std::string& path, const DecodeLimits& limits);
  void choose_stream(const std::string& path);
  void check_size(const std::string& path, const DecodeLimits& limits) const;

  struct CloseIo {
    void operator()(AVIOContext* io) const { avio_close(io); }
  };
  std::string path_;
  const Deadline* deadline_;
  std::int64_t file_bytes_ = 0;
  std::unique_ptr<AVIOContext, CloseIo> io_;
  AvInputPtr format_;           // after io_: closed before it
  AVStream* stream_ = nullptr;  // owned by format_
};

/// Opens a decoder of one thread for a stream.
/// @throws DataError `unreadable` FFmpeg has no decoder for the codec, or it refuses the stream
AvCodecContextPtr open_decoder(const AVStream& stream, const std::string& path,
                               const DecodeLimits& limits);

}  // namespace cfp
