// Frames of a clip side by side in one picture, and heat drawn over them. Private to
// results/report.
//
//   const std::vector<std::int64_t> chosen = evenly_spread(frames.length, 6);
//   const Strip strip = make_strip(frames, chosen, 112);
//   const HeatMap heat(tube, frames.length, strip.height, strip.frame_width);
//   encode(draw_heat(strip, heat, chosen, blend_heat));
#pragma once

#include <cstdint>
#include <vector>

#include "results/report/overlay.h"
#include "stages/core/clip.h"

namespace cfp {

/// @return `wanted` positions out of `available`, evenly spread, first and last among them; all,
/// where
///         there are no more
std::vector<std::int64_t> evenly_spread(std::int64_t available, std::int64_t wanted);

/// Frames side by side in one picture, with white between them.
struct Strip {
  std::int64_t height = 0;        ///< pixels
  std::int64_t width = 0;         ///< pixels
  std::int64_t frame_width = 0;   ///< pixels of one frame
  std::vector<std::uint8_t> rgb;  ///< [height, width, 3]

  /// @return row y of the i-th frame
  std::uint8_t* row(std::int64_t i, std::int64_t y);
};

/// @param chosen      frames to show, in order; not empty
/// @param max_height  pixels; larger frames are shrunk to it, ones wider than four times it further
/// @param min_height  pixels; smaller frames are enlarged, each pixel to a square, to at least it
Strip make_strip(const Frames& frames, const std::vector<std::int64_t>& chosen,
                 std::int64_t max_height, std::int64_t min_height = 1);

/// How a heat changes a frame: blend_heat() or keep_focus().
using DrawHeat = void (*)(const std::uint8_t* rgb, const float* heat, std::int64_t pixels,
                          std::uint8_t* out);

/// @param heat    of the size of the strip's frames
/// @param chosen  as given to make_strip()
/// @return        the strip with the heat of each frame drawn over it
Strip draw_heat(Strip strip, const HeatMap& heat, const std::vector<std::int64_t>& chosen,
                DrawHeat draw);

/// @param strips  of one width; not empty
/// @return        one below the other, with white between them
Strip stack(const std::vector<Strip>& strips);

}  // namespace cfp
