#include "stages/core/preprocess.h"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "stages/core/errors.h"

namespace cfp {
namespace {

std::vector<PreprocessOptions> make_presets() {
  std::vector<PreprocessOptions> presets;
  // ResNet and ResNeXt of 2017/18: values 0..255 less the ActivityNet mean.
  presets.push_back({.preset = "kenshohara2018",
                     .resize_mode = ResizeMode::kShortSide,
                     .resize = 112,
                     .interpolation = Interpolation::kBilinearAntialias,
                     .crop = 112,
                     .range_min = 0,
                     .range_max = 255,
                     .mean = {114.7748, 107.7354, 99.4750},
                     .std = {1, 1, 1}});
  // The same authors' r3d files of 2020: values 0..1, Kinetics mean and deviation.
  presets.push_back({.preset = "kenshohara2020",
                     .resize_mode = ResizeMode::kShortSide,
                     .resize = 112,
                     .interpolation = Interpolation::kBilinearAntialias,
                     .crop = 112,
                     .range_min = 0,
                     .range_max = 1,
                     .mean = {0.4345, 0.4051, 0.3775},
                     .std = {0.2768, 0.2713, 0.2737}});
  // Multi-Fiber Net: 256 x 256 whatever the aspect, OpenCV's linear interpolation.
  presets.push_back({.preset = "mfnet",
                     .resize_mode = ResizeMode::kExact,
                     .resize = 256,
                     .interpolation = Interpolation::kBilinear,
                     .crop = 224,
                     .range_min = 0,
                     .range_max = 255,
                     .mean = {124, 117, 104},
                     .std = {1 / 0.0167, 1 / 0.0167, 1 / 0.0167}});
  presets.push_back({.preset = "i3d",
                     .resize_mode = ResizeMode::kShortSide,
                     .resize = 256,
                     .interpolation = Interpolation::kBilinear,
                     .crop = 224,
                     .range_min = -1,
                     .range_max = 1,
                     .mean = {0, 0, 0},
                     .std = {1, 1, 1}});
  // The demo network: frames as they are, values -1..1.
  presets.push_back({.preset = "demo",
                     .resize_mode = ResizeMode::kNone,
                     .resize = 0,
                     .interpolation = Interpolation::kBilinear,
                     .crop = 0,
                     .range_min = -1,
                     .range_max = 1,
                     .mean = {0, 0, 0},
                     .std = {1, 1, 1}});
  std::ranges::sort(presets, {}, &PreprocessOptions::preset);
  return presets;
}

const std::vector<PreprocessOptions>& presets() {
  static const std::vector<PreprocessOptions> all = make_presets();
  return all;
}

}  // namespace

const PreprocessOptions& preprocess_preset(std::string_view name) {
  const auto found = std::ranges::find(presets(), name, &PreprocessOptions::preset);
  if (found == presets().end()) {
    throw ConfigError(fmt::format("no preprocessing preset is called '{}'; there are: {}", name,
                                  fmt::join(preprocess_preset_names(), ", ")));
  }
  return *found;
}

std::vector<std::string> preprocess_preset_names() {
  std::vector<std::string> names;
  for (const PreprocessOptions& preset : presets()) names.push_back(preset.preset);
  return names;
}

}  // namespace cfp
