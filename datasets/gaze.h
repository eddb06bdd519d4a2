// Where the wearer of EGTEA Gaze+'s camera looked, frame by frame.
//
// Reads the two forms of the publisher's BeGaze exports, one file a session. Nothing of the header
// is kept: it holds names and paths of the people who recorded.
//
// Frames: the tracker samples at 30 Hz what is shown at 24 frames a second, and writes with each
// sample the frame that was on the screen. BeGaze 3.1 counts them from 1 (`Frame` is a number),
// BeGaze 3.4 from 0 (`Frame` is HH:MM:SS:FF, 24 frames a second). Here both count from 0: frame n
// is shown from n/24 to (n+1)/24 seconds of the session's video. The samples' own clock agrees at
// the beginning and wanders from it by up to two frames in some minutes, so it is checked for order
// and used for nothing else.
//
//   const Gaze gaze = read_gaze("gaze_data/OP01-R01-PastaSalad.txt");
//   for (const GazePoint& point : gaze.points) mark(point.frame, point.x_px, point.y_px);
#pragma once

#include <cstdint>
#include <filesystem>
#include <string_view>
#include <vector>

namespace cfp {

/// Rate of EGTEA Gaze+'s videos and of its gaze: frames a second.
inline constexpr int kGazeFps = 24;
/// The picture that gaze is measured in; clips of another size are the same picture, scaled.
inline constexpr int kGazeWidth = 1280, kGazeHeight = 960;

/// What the eye did.
enum class GazeEvent {
  kFixation,
  kSaccade,
  kOther,  ///< a blink, or nothing that the tracker had a name for
};

/// @return `fixation`, `saccade`, `other`
std::string_view to_string(GazeEvent event);

/// Where the wearer looked during one frame.
struct GazePoint {
  std::int64_t frame = 0;  ///< of the session's video, from 0
  double x_px = 0;         ///< from the left edge of the 1280 x 960 picture
  double y_px = 0;         ///< from its upper edge
  GazeEvent event = GazeEvent::kOther;
  int samples = 0;             ///< of this event in this frame, whose mean x_px and y_px are
  bool inside_picture = true;  ///< 0 <= x_px < 1280 and 0 <= y_px < 960

  bool operator==(const GazePoint&) const = default;
};

struct Gaze {
  std::vector<GazePoint> points;  ///< by frame, each frame at most once; those without are absent
  std::int64_t samples = 0;       ///< rows with a point
  std::int64_t lost_samples =
      0;  ///< rows without: `NaN`, `-`, nothing, or 0,0 (BeGaze's ways to say so)
};

/// Reads one export of either form; which one it is, the row of column names says.
///
/// Several samples of a frame become one point: the frame's event is that of most of its samples
/// (of as many of two kinds: fixation before saccade before other), and the point is the mean of
/// the samples of that event, since a mean of a fixation and a saccade is where nobody looked.
/// @throws ConfigError `file:line: why`: no such export, columns are missing, a value is no number
///         or out of range, time or frames go back
Gaze read_gaze(const std::filesystem::path& path);

}  // namespace cfp
