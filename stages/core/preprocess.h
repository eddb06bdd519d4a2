// From decoded frames to what a checkpoint was trained on: presets and their single steps.
//
// Resizing and cropping happen in stages/decode on 8-bit frames, as the training code did; scaling
// and normalising happen on the device, in stages/pyramid.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

namespace cfp {

enum class ResizeMode {
  kNone,       ///< frames keep their size
  kShortSide,  ///< the short side becomes `resize`, the other keeps the aspect, truncated
  kExact,      ///< both sides become `resize`, ignoring the aspect
};

enum class Interpolation {
  kBilinearAntialias,  ///< as Pillow's BILINEAR
  kBilinear,           ///< as OpenCV's INTER_LINEAR, no antialiasing
};

/// What a checkpoint expects of its input, step by step.
///
/// A network gets (x / 255 * (range_max - range_min) + range_min - mean) / std, channel by channel,
/// where x is an 8-bit RGB value.
struct PreprocessOptions {
  std::string preset;  ///< name of the preset it came from
  ResizeMode resize_mode = ResizeMode::kShortSide;
  int resize = 256;  ///< pixels
  Interpolation interpolation = Interpolation::kBilinearAntialias;
  int crop = 224;                       ///< pixels, centre crop; 0: no crop
  double range_min = 0;                 ///< what 0 becomes before mean and std
  double range_max = 1;                 ///< what 255 becomes before mean and std
  std::array<double, 3> mean{0, 0, 0};  ///< R, G, B, in units of the range
  std::array<double, 3> std{1, 1, 1};   ///< R, G, B, in units of the range

  bool operator==(const PreprocessOptions&) const = default;
};

/// @return the preset called `name`
/// @throws ConfigError no such preset; the message lists those there are
/// Source: the loaders that the public checkpoints were trained with, see docs/networks.md.
const PreprocessOptions& preprocess_preset(std::string_view name);

/// @return the names that preprocess_preset() takes, sorted
std::vector<std::string> preprocess_preset_names();

}  // namespace cfp
