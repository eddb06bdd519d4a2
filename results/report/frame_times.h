// When the frames of a clip are shown, in a video made of them.
#pragma once

#include <vector>

namespace cfp {

/// How long a frame is shown where nothing says it: a clip of one moment has no pace.
inline constexpr double kFrameWithoutPace_s = 0.04;

struct ShownFrame {
  double start_s = 0;     ///< from 0; above that of the frame before
  double duration_s = 0;  ///< above 0; the next frame follows at once
};

/// Keeps the time of a clip: each frame is shown until the next one's time.
///
/// A frame that the clip repeats shares its time among the repetitions. Where the clip ends, or
/// begins again (a short video that is looped), the frame is shown for as long as the clip's frames
/// are in the median; where there is no other time, for kFrameWithoutPace_s. None is shown for less
/// than 0.1 ms.
///
/// @param times_s  presentation time of each frame in its file, as Clip has them; finite
/// @return         one entry a frame
std::vector<ShownFrame> shown_frames(const std::vector<double>& times_s);

}  // namespace cfp
