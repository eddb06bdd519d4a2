// Resizing and cropping of decoded frames, as the code that trained a checkpoint did it.
#pragma once

#include <vector>

#include "stages/core/clip.h"
#include "stages/core/preprocess.h"

namespace cfp {

struct FrameSize {
  std::int64_t height = 0;  ///< pixels
  std::int64_t width = 0;   ///< pixels

  bool operator==(const FrameSize&) const = default;
};

/// @throws ConfigError a size is negative, absurd, or the crop cannot fit what resizing gives
void check(const PreprocessOptions& options);

/// @return the size after resizing, before cropping: for kShortSide the short side is `resize` and
///         the other `resize * long / short`, truncated
FrameSize resized_size(FrameSize size, const PreprocessOptions& options);

/// Resizes and crops frames.
///
/// The crop is cut from the middle; an odd margin is rounded half to even, as Python's round does.
/// @param frames  [T, H, W, 3], 0..255
/// @return        [T, crop, crop, 3], or the resized size where there is no crop
/// @throws DataError `too_small` the frames are smaller than the crop
Frames preprocess_frames(const Frames& frames, const PreprocessOptions& options);

/// Resizes frames once and cuts one or three crops.
///
/// One is that of preprocess_frames(). Three lie along the longer side (the width, where both are
/// equal): left, middle and right, or top, middle and bottom, as SlowFast's uniform_crop cuts them;
/// there odd margins are rounded up. They overlap where the longer side is less than three crops.
/// MMAction2's ThreeCrop cuts the same, but rounds down, and orders left, right, middle.
/// @param crops  1 or 3; 3 needs options.crop
/// @return       `crops` times [T, crop, crop, 3]
/// @throws DataError `too_small` the frames are smaller than the crop
std::vector<Frames> preprocess_crops(const Frames& frames, const PreprocessOptions& options,
                                     int crops);

}  // namespace cfp
