// Tubes drawn over frames: upsampling, scaling, colours.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "stages/core/clip.h"
#include "stages/core/pyramid.h"

namespace cfp {

/// Why a heat map is as it is.
enum class HeatStatus {
  kDrawn,      ///< values run from 0 to 1
  kConstant,   ///< every cell of the tube is equal: drawn as zeros
  kNotFinite,  ///< a cell is not a number: drawn as zeros
};

/// @return a word for a caption: `drawn`, `constant`, `not finite`
std::string_view to_string(HeatStatus status);

/// Trilinear interpolation to any size, with half-pixel centres (align_corners = false) and the
/// border repeated; larger or smaller on each axis.
///
/// @param tube  not empty
/// @return      [length, height, width], row-major
/// @throws std::invalid_argument a size below 1, or fewer values than the tube's size says
std::vector<float> upsample_trilinear(const Tube& tube, std::int64_t length, std::int64_t height,
                                      std::int64_t width);

/// A tube at the size of a clip, scaled so that its smallest value there is 0 and its largest 1.
/// Frames are made when they are asked for: memory does not grow with the length.
class HeatMap {
 public:
  /// @throws std::invalid_argument as upsample_trilinear()
  HeatMap(Tube tube, std::int64_t length, std::int64_t height, std::int64_t width);

  HeatStatus status() const { return status_; }

  /// @param t  0..length-1
  /// @return   [height, width], row-major, 0..1; zeros where nothing is drawn
  std::vector<float> frame(std::int64_t t) const;

 private:
  Tube tube_;
  std::int64_t length_, height_, width_;
  HeatStatus status_ = HeatStatus::kDrawn;
  double smallest_ = 0, range_ = 0;  ///< of the upsampled values
};

/// Colour of a heat: from black over violet, red and orange to light yellow, ever lighter.
/// @param heat  0..1; what lies outside is taken as the nearer end
std::array<std::uint8_t, 3> heat_colour(float heat);

/// Draws a heat over a frame: the hotter, the more of the frame is covered.
///
/// @param rgb     [height, width, 3]
/// @param heat    [height, width], 0..1
/// @param pixels  height * width
/// @param out     [height, width, 3]; may be `rgb` itself
void blend_heat(const std::uint8_t* rgb, const float* heat, std::int64_t pixels, std::uint8_t* out);

/// Leaves a frame as it is where it is hottest, and darkens it the colder it is, by the root of the
/// heat, down to a tenth of its light.
///
/// Parameters as of blend_heat().
void keep_focus(const std::uint8_t* rgb, const float* heat, std::int64_t pixels, std::uint8_t* out);

}  // namespace cfp
