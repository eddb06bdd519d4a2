// An open media file, read safely; for the sources of this folder alone.
#pragma once

#include <string>

#include "stages/core/errors.h"
#include "stages/decode/deadline.h"
#include "stages/decode/ffmpeg.h"
#include "stages/decode/video_decoder.h"

namespace cfp {

/// How much of a file is looked at to find out what it is.
enum class Analysis {
  kFull,    ///< packets too, some of which FFmpeg decodes
  kHeader,  ///< the header, where it says what there is; else as kFull
};

/// One file and its video stream.
///
/// Opens that file and nothing else: not what a playlist or a reference track names, no URL, no
/// pipe, no device. Which video stream: the one marked as default, among several such the one that
/// FFmpeg takes for the best; cover pictures do not count.
class MediaInput {
 public:
  /// @throws DataError `missing`, `unreadable`, `empty`, `no_video_stream`, `timeout`
  MediaInput(const std::string& path, const DecodeLimits& limits, const Deadline& deadline,
             Analysis analysis = Analysis::kFull);
  // FFmpeg holds the address of the deadline.
  MediaInput(const MediaInput&) = delete;
  MediaInput& operator=(const MediaInput&) = delete;

  /// Gives another clip its time.
  void set_deadline(const Deadline& deadline) { deadline_ = deadline; }

  const AVStream& stream() const { return *stream_; }
  const AVFormatContext& format() const { return *format_; }
  const std::string& path() const { return path_; }
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
  void open_container(const std::string& path);
  bool says_all_in_header() const;
  void analyse(const std::string& path, const DecodeLimits& limits);
  void choose_stream(const std::string& path);
  void check_size(const std::string& path, const DecodeLimits& limits) const;

  struct CloseIo {
    void operator()(AVIOContext* io) const { avio_close(io); }
  };
  std::string path_;
  Deadline deadline_;
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
