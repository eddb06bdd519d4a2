// Which frames of a video make a clip: arithmetic alone, no file is touched.
//
//   const auto views = sample_frames(300, {.clip_len = 16, .frame_interval = 2});
//   // views[0] == {134, 136, …, 164}
//
// Note [MMAction2's offsets]
// The formulas are those of MMAction2's SampleFrames and DenseSampleFrames in test mode
// (mmaction/datasets/transforms/loading.py), so that a checkpoint sees the frames that its
// published accuracy was measured on. With N frames, L = (clip_len - 1) * frame_interval + 1 and
// M = max(N - L, 0), the first frame of each view is
//   center:  M / 2, rounded down
//   uniform: round_half_even(i * M / (num_clips - 1)) for i = 0..num_clips-1; M / 2 if there is one
//   dense:   (p + j * (dense_range / num_clips)) mod N for each p of `dense_positions` numbers
//            spread evenly over 0..max(0, N - dense_range), truncated, and j = 0..num_clips-1
// and a clip of one frame (clip_len 1, center and uniform) takes the middle of each of num_clips
// equal parts: i * N / num_clips + N / num_clips / 2, truncated.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace cfp {

enum class SamplingPolicy {
  kCenter,   ///< one clip from the middle
  kUniform,  ///< num_clips clips from the first to the last possible place
  kDense,    ///< num_clips clips in a short range, from each of several starting places
};

enum class OutOfBound {
  kLoop,        ///< ABC -> ABCABC: from the start again
  kRepeatLast,  ///< ABC -> ABCCCC: the last frame that the clip reached
  kError,       ///< the clip fails as `too_short`
};

struct SamplingOptions {
  int clip_len = 16;       ///< frames a clip, 1..4096
  int frame_interval = 1;  ///< step between frames of a clip, 1..4096
  int num_clips = 1;       ///< 1..1024; 1 for `center`
  SamplingPolicy policy = SamplingPolicy::kCenter;
  OutOfBound out_of_bound = OutOfBound::kLoop;
  std::optional<double> target_fps;  ///< above 0: resample by time stamps before counting
  int dense_range = 64;              ///< frames that a dense group of clips spans
  int dense_positions = 10;          ///< starting places of dense groups, 1..1024
  int crops = 1;                     ///< of each clip, 1 or 3; see preprocess_crops()

  bool operator==(const SamplingOptions&) const = default;
};

/// @throws ConfigError a field is out of its range; the message names it
void check(const SamplingOptions& options);

/// @return how many clips sample_frames() gives: num_clips, for `dense` times dense_positions
int clip_count(const SamplingOptions& options);

/// @return how many views a video has: crops of each clip. Views are in the order of clips, and
///         within one of crops: view = clip * crops + crop
int view_count(const SamplingOptions& options);

/// Says which frames each clip of a video consists of.
///
/// @param available  N, frames that there are
/// @return           [clips][clip_len] indices, 0..N-1; see Note [MMAction2's offsets]
/// @throws DataError `empty` N is 0; `too_short` a clip needs more frames and may not repeat any
std::vector<std::vector<std::int64_t>> sample_frames(std::int64_t available,
                                                     const SamplingOptions& options);

/// Resamples frames to another rate by their time stamps: what a screen would show at that rate.
///
/// Takes the frame that is shown at times_s[0] + k / target_fps, for each k until the video ends;
/// frames are left out or repeated accordingly.
/// @param times_s     presentation times, ascending
/// @param end_s       when the last frame stops being shown
/// @param tick_s      resolution of the time stamps; a frame that is due within it counts as shown
/// @param target_fps  above 0
/// @return            indices into times_s, ascending, with repetitions
std::vector<std::int64_t> resample(const std::vector<double>& times_s, double end_s, double tick_s,
                                   double target_fps);

}  // namespace cfp
