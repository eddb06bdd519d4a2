#include "stages/core/preprocess.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "stages/core/errors.h"

namespace cfp {
namespace {

using testing::ElementsAre;
using testing::ThrowsMessage;

TEST(PreprocessPreset, AreListedInOrder) {
  EXPECT_THAT(preprocess_preset_names(),
              ElementsAre("demo", "i3d", "kenshohara2018", "kenshohara2020", "mfnet"));
}

TEST(PreprocessPreset, KnowTheirOwnNames) {
  for (const std::string& name : preprocess_preset_names()) {
    EXPECT_EQ(preprocess_preset(name).preset, name);
  }
}

TEST(PreprocessPreset, CropNoMoreThanTheyResizeTo) {
  for (const std::string& name : preprocess_preset_names()) {
    const PreprocessOptions& preset = preprocess_preset(name);
    EXPECT_LE(preset.crop, preset.resize) << name;
    EXPECT_EQ(preset.resize == 0, preset.resize_mode == ResizeMode::kNone) << name;
  }
}

/// What the networks get for black and white, from the transforms that their authors publish.
TEST(PreprocessPreset, GiveWhatTheTrainingCodeGave) {
  const auto value = [](const std::string& name, std::size_t channel, double byte) {
    const PreprocessOptions& o = preprocess_preset(name);
    return (byte / 255 * (o.range_max - o.range_min) + o.range_min - o.mean[channel]) /
           o.std[channel];
  };
  // Exact formulas; 1e-9 is room for the order of operations in double.
  EXPECT_NEAR(value("kenshohara2018", 0, 0), -114.7748, 1e-9);
  EXPECT_NEAR(value("kenshohara2018", 2, 255), 255 - 99.4750, 1e-9);
  EXPECT_NEAR(value("kenshohara2020", 1, 255), (1 - 0.4051) / 0.2713, 1e-9);
  EXPECT_NEAR(value("mfnet", 0, 0), -124 * 0.0167, 1e-9);
  EXPECT_NEAR(value("i3d", 0, 0), -1, 1e-9);
  EXPECT_NEAR(value("i3d", 0, 255), 1, 1e-9);
}

TEST(PreprocessPreset, NamesThoseThereAre) {
  EXPECT_THAT([] { preprocess_preset("imagenet"); },
              ThrowsMessage<ConfigError>("no preprocessing preset is called 'imagenet'; there are: "
                                         "demo, i3d, kenshohara2018, kenshohara2020, mfnet"));
}

}  // namespace
}  // namespace cfp
