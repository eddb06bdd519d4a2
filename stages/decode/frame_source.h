// The frames of a segment, wherever they are: in a video, in pieces of one, or in pictures.
//
//   FrameSource source(request.media, limits);
//   source.decode({0, 16, 32}, [](std::int64_t index, const Frames& frame) { … });
#pragma once

#include <cstdint>
#include <span>
#include <variant>
#include <vector>

#include "stages/core/clip.h"
#include "stages/decode/picture_folder.h"
#include "stages/decode/video_decoder.h"
#include "stages/decode/video_pieces.h"

namespace cfp {

/// One open segment. Not to be shared between threads; uses one thread itself.
class FrameSource {
 public:
  /// Opens what the segment says, and lists its frames.
  ///
  /// @param list   how frames of videos are listed
  /// @param reuse  open videos that may serve the segment, and get it back; null: none
  /// @throws DataError as the constructor of VideoDecoder, PictureFolder or VideoPieces
  explicit FrameSource(const MediaSegment& segment, const DecodeLimits& limits = {},
                       FrameList list = FrameList::kFromPackets, OpenVideos* reuse = nullptr);

  /// @return presentation times of the segment's frames, ascending, in seconds after the first
  ///         frame of the whole video
  const std::vector<double>& frame_times_s() const;

  /// @return when the segment's last frame stops being shown, seconds after the first frame of all
  double end_time_s() const;

  /// @return the resolution of the times, seconds
  double tick_s() const;

  /// Decodes frames of the segment.
  ///
  /// @param wanted  indices into frame_times_s(), ascending, none twice
  /// @param take    called once for each, in any order; the frame is valid during the call
  /// @throws DataError `decode_error` a wanted frame is damaged, which may show after `take` was
  ///                   called; none of the frames may then be used. `timeout`
  void decode(std::span<const std::int64_t> wanted, const TakeFrame& take);

 private:
  using Source = std::variant<VideoDecoder, PictureFolder, VideoPieces>;
  static Source open(const MediaSegment& segment, const DecodeLimits& limits, FrameList list,
                     OpenVideos* reuse);

  Source source_;
};

}  // namespace cfp
