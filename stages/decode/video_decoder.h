// Exact frames out of any video file that FFmpeg reads, by time stamps.
//
//   VideoDecoder video("clip.mp4");
//   video.decode({0, 16, 32}, [](std::int64_t index, const Frames& frame) { … });
//
// Note [What a frame is]
// A header's frame count is never believed. The packets of the video stream are read once; their
// presentation time stamps, sorted, are the frames, and the first of them is time 0. A file whose
// packets do not say this (no time stamps, as B-frames in AVI; the same one twice; frames that are
// never shown) is decoded once to list its frames. A frame that cannot be decoded, or that rests
// on one that cannot, is an error: no other is put in its place.
//
// Note [What is not decoded]
// Wanted frames come out as if everything had been decoded from the start, byte by byte, but
// frames that no other frame refers to are skipped unless wanted, and whole groups of pictures are
// left out where the next one provably starts afresh (an IDR picture, a VP9 key frame, …, with no
// frame displayed across the border). Open groups of pictures are decoded through.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "stages/core/clip.h"

namespace cfp {

/// What one clip may cost.
struct DecodeLimits {
  double time_limit_s = 120;                ///< wall time for one clip, all steps together
  std::int64_t max_pixels = 8192 * 4352;    ///< a frame; sides are at most 16384 besides
  std::int64_t max_clip_bytes = 4LL << 30;  ///< all views of one clip together, after cropping
  /// Of larger files only the part around a segment is read; the frames are the same.
  std::int64_t whole_file_bytes = 64 << 20;
};

/// @throws ConfigError a limit is not above 0
void check(const DecodeLimits& limits);

/// Takes a decoded frame, [1, height, width, 3], and its index; the frame is valid during the call.
using TakeFrame = std::function<void(std::int64_t index, const Frames& frame)>;

/// @throws std::logic_error `wanted` does not ascend, or is not of 0..count-1
void check_wanted(std::span<const std::int64_t> wanted, std::int64_t count);

/// What is known of a video without decoding its pictures.
struct VideoInfo {
  std::string codec;             ///< FFmpeg's name: `h264`
  std::string pixel_format;      ///< FFmpeg's name: `yuv420p10le`
  int width = 0;                 ///< pixels, after rotation
  int height = 0;                ///< pixels, after rotation
  int rotation_degrees = 0;      ///< clockwise turn that the metadata ask for: 0 90 180 270
  int stream_index = 0;          ///< in the file
  std::int64_t frame_count = 0;  ///< frames that there are, see Note [What a frame is]
  std::int64_t frame_count_from_header = 0;  ///< what the header claims; 0: nothing
  double start_time_s = 0;              ///< time stamp of the first frame in the file's own clock
  double duration_s = 0;                ///< from the first frame to the end of the last
  double average_fps = 0;               ///< frame_count / duration_s
  bool is_variable_frame_rate = false;  ///< frames are not evenly spaced (to 2 ticks of the clock)
  bool is_listed_by_decoding = false;   ///< the packets did not say where the frames are
};

/// Where the list of frames comes from.
enum class FrameList {
  kFromPackets,   ///< from time stamps; from decoding where those do not do
  kFromDecoding,  ///< from decoding the whole file once
};

/// The packets promised a frame that decoding the file, without any error, does not give; the list
/// from decoding is right. Thrown by VideoDecoder::decode() for lists from packets.
class FrameListError : public DataError {
 public:
  using DataError::DataError;
};

class OpenVideos;

/// One open video file. Not to be shared between threads; uses one thread itself.
class VideoDecoder {
 public:
  /// Opens the file and lists the frames.
  ///
  /// @param segment  file, and the part of it that is wanted: frames with start_s <= time < end_s,
  ///                 to half a tick of the file's clock, and at most half a millisecond
  /// @param reuse    where to look for the file, open already, and where to leave it; null: nowhere
  /// @throws DataError `missing`, `unreadable`, `empty`, `no_video_stream`, `decode_error`,
  ///                   `timeout`; the message has the path and FFmpeg's own words
  explicit VideoDecoder(const MediaSegment& segment, const DecodeLimits& limits = {},
                        FrameList list = FrameList::kFromPackets, OpenVideos* reuse = nullptr);
  ~VideoDecoder();
  VideoDecoder(VideoDecoder&&) noexcept;
  VideoDecoder& operator=(VideoDecoder&&) noexcept;

  /// Of the whole video; where a long file is read in part, of that part.
  const VideoInfo& info() const;

  /// @return presentation times of the segment's frames, ascending, in seconds after the video's
  ///         first frame
  const std::vector<double>& frame_times_s() const;

  /// @return when the segment's last frame stops being shown, seconds after the first frame
  double end_time_s() const;

  /// @return the resolution of the time stamps, seconds
  double tick_s() const;

  /// Decodes frames of the segment.
  ///
  /// @param wanted  indices into frame_times_s(), ascending, none twice
  /// @param take    called once for each, in any order, with the index and the frame:
  ///                [1, height, width, 3], rotated; valid during the call
  /// @throws DataError `decode_error` a wanted frame is damaged, which may show after `take` was
  ///                   called; none of the frames may then be used. `timeout`
  void decode(std::span<const std::int64_t> wanted, const TakeFrame& take);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Reads what a file is, for `cfp inspect`: all of its packets; see also probe.h.
/// @throws DataError as VideoDecoder's constructor
VideoInfo probe(const std::string& path, const DecodeLimits& limits = {});

}  // namespace cfp
