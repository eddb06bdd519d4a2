// Frames out of a folder of numbered pictures; see FrameSource.
//
// Note [Which pictures a segment has]
// Numbers start_number..stop_number-1, of which the clip may use a few. Folders of long videos hold
// 100,000s of pictures and serve 1,000s of segments, so where both numbers are given the folder is
// not listed: the last picture is looked up, and those that the clip shows are opened. Only where
// the last one is missing, or a number is not given, is the folder listed, once. Rows of official
// lists end behind their video, so a segment ends with the last picture that there is; any other
// missing picture is an error, if the folder was listed or the picture is wanted.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "stages/core/clip.h"
#include "stages/decode/deadline.h"
#include "stages/decode/video_decoder.h"

namespace cfp {

/// One segment of a folder of pictures. Not to be shared between threads.
class PictureFolder {
 public:
  /// @param segment  with `pictures`
  /// @throws DataError `missing` no such folder; `unreadable` no permission, no folder, a name or a
  ///                   rate that cannot be; `empty` no number or no picture at all; `too_short` the
  ///                   pictures end before the segment; `decode_error` one is missing; `timeout`
  explicit PictureFolder(const MediaSegment& segment, const DecodeLimits& limits = {});

  /// @return when each picture is shown, (number - first_number) / fps seconds
  const std::vector<double>& frame_times_s() const { return times_s_; }
  /// @return when the last picture stops being shown
  double end_time_s() const { return end_s_; }
  /// @return how far off a time may be by rounding, seconds
  double tick_s() const;

  /// Decodes pictures; see VideoDecoder::decode. Pictures of different sizes are an error.
  /// @throws DataError naming the picture: `decode_error` missing or damaged; `unreadable`,
  ///                   `empty`; `timeout`
  void decode(std::span<const std::int64_t> wanted, const TakeFrame& take);

  /// @return the path of a picture of the segment
  /// @param index  into frame_times_s()
  std::string picture_path(std::int64_t index) const;

 private:
  std::string path_of(std::int64_t number) const;
  void limit_to_what_there_is(std::int64_t stop);

  std::string folder_;
  PictureSequence sequence_;
  DecodeLimits limits_;
  Deadline deadline_;
  std::int64_t start_ = 0;  ///< number of the first picture
  std::int64_t stop_ = 0;   ///< one behind that of the last
  std::vector<double> times_s_;
  double end_s_ = 0;
};

}  // namespace cfp
