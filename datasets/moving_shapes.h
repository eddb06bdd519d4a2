// Moving shapes: a data set that needs no download, whose every pixel and mask is a formula.
//
// Each clip shows one acting shape before a textured background, beside a second shape that keeps
// still. Eight classes can only be told by motion, two only by appearance. Frames and masks depend
// on the options and the clip's index alone and are the same on every machine;
// moving_shapes_files.h writes them as video files.
//
//   const MovingShapesOptions options{.count = 100, .seed = 1, .split = "test"};
//   const Frames frames = render_moving_shapes(options, 7);
//   const std::vector<std::uint8_t> mask_thw = moving_shapes_mask(options, 7);
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "stages/core/clip.h"

namespace cfp {

/// Raised whenever the same options give other pixels than before: cached clips are then made anew.
inline constexpr int kMovingShapesVersion = 1;

/// What is to be made. Clips of two splits, or of two seeds, have nothing in common.
struct MovingShapesOptions {
  int count = 500;    ///< clips, 1..1,000,000; the ten classes take turns
  int clip_len = 16;  ///< frames a clip, 16..256
  int size = 64;      ///< width and height in pixels, 32..512, even
  std::uint64_t seed = 0;
  std::string split = "test";  ///< `train`, `val` or `test`

  /// @throws ConfigError a value is out of its range; names the option, the value and the range
  void check() const;
  bool operator==(const MovingShapesOptions&) const = default;
};

/// The ten classes, in the order of the labels.
///
/// `translate left`, `translate right`, `translate up`, `translate down`, `rotate`, `grow`,
/// `shrink`, `blink` need motion; `still cross`, `still ring` need appearance.
const std::vector<std::string>& moving_shapes_class_names();

/// @return label of clip `index`: the classes take turns
int moving_shapes_label(std::int64_t index);

/// Draws the frames of one clip, before any video coding.
/// @param index  0..count-1
/// @return       [clip_len, size, size, 3]
/// @throws ConfigError the options or the index are out of range
Frames render_moving_shapes(const MovingShapesOptions& options, std::int64_t index);

/// The pixels of the acting shape: exactly those that render_moving_shapes() gives its colour.
/// @return [clip_len, size, size], 1 inside, 0 outside; all 0 in frames where a blinking shape is
/// off
/// @throws ConfigError the options or the index are out of range
std::vector<std::uint8_t> moving_shapes_mask(const MovingShapesOptions& options,
                                             std::int64_t index);

}  // namespace cfp
