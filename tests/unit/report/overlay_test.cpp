#include "results/report/overlay.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <limits>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "stages/core/formula.h"
#include "tests/support/run_command.h"
#include "tests/support/test_data.h"

namespace cfp {
namespace {

using testing::Each;
using testing::FloatNear;

Tube random_tube(std::int64_t length, std::int64_t height, std::int64_t width) {
  Tube tube{length, height, width, {}};
  const FormulaStream random(1, "tube");
  for (std::int64_t i = 0; i < length * height * width; ++i) {
    tube.values.push_back(random.uniform(static_cast<std::uint64_t>(i)));
  }
  return tube;
}

/// All frames of a heat map behind one another.
std::vector<float> all_values(const HeatMap& heat, std::int64_t length) {
  std::vector<float> values;
  for (std::int64_t t = 0; t < length; ++t) {
    const std::vector<float> frame = heat.frame(t);
    values.insert(values.end(), frame.begin(), frame.end());
  }
  return values;
}

TEST(UpsampleTrilinear, AgreesWithPyTorch) {
  const std::string python = test::python_with("torch", CFP_SOURCE_DIR);
  CFP_SKIP_WITHOUT_PYTHON(python, "torch");
  const std::int64_t cases[][6] = {
      {1, 7, 7, 16, 56, 56}, {2, 4, 4, 16, 64, 64}, {4, 14, 14, 16, 112, 100}, {3, 5, 7, 3, 5, 7},
      {8, 9, 10, 5, 4, 3},   {2, 3, 5, 7, 11, 13},  {1, 1, 1, 4, 5, 6},        {5, 1, 3, 1, 8, 1}};
  auto json = nlohmann::json::array();
  for (const auto& c : cases) {
    const Tube tube = random_tube(c[0], c[1], c[2]);
    json.push_back({{"from", {c[0], c[1], c[2]}},
                    {"to", {c[3], c[4], c[5]}},
                    {"tube", tube.values},
                    {"upsampled", upsample_trilinear(tube, c[3], c[4], c[5])}});
  }
  const test::TemporaryFolder folder;
  std::ofstream(folder / "cases.json") << json.dump();
  const test::CommandResult result =
      test::run_command(python + " " CFP_SOURCE_DIR "/tests/unit/report/check_upsampling.py " +
                        (folder / "cases.json").string());
  EXPECT_EQ(result.exit_code, 0) << result.output;
  EXPECT_EQ(result.output, "equal\n");
}

TEST(UpsampleTrilinear, OfOneAxisByHand) {
  const Tube tube{1, 1, 2, {0, 4}};
  EXPECT_THAT(upsample_trilinear(tube, 1, 1, 4), testing::ElementsAre(0, 1, 3, 4));
  EXPECT_THAT(upsample_trilinear(tube, 1, 1, 1), testing::ElementsAre(2));
}

TEST(UpsampleTrilinear, RefusesATubeOfAnotherSizeThanItSays) {
  Tube tube = random_tube(1, 2, 2);
  EXPECT_THROW(upsample_trilinear(tube, 1, 0, 4), std::invalid_argument);
  tube.values.pop_back();
  EXPECT_THROW(upsample_trilinear(tube, 1, 4, 4), std::invalid_argument);
  EXPECT_THROW(upsample_trilinear(Tube{}, 1, 4, 4), std::invalid_argument);
}

TEST(HeatMap, RunsFromZeroToOne) {
  const HeatMap heat(random_tube(2, 7, 7), 16, 28, 28);
  EXPECT_EQ(heat.status(), HeatStatus::kDrawn);
  const std::vector<float> values = all_values(heat, 16);
  ASSERT_EQ(values.size(), 16U * 28 * 28);
  const auto [low, high] = std::minmax_element(values.begin(), values.end());
  EXPECT_EQ(*low, 0);
  EXPECT_EQ(*high, 1);
}

TEST(HeatMap, OfAConstantTubeIsZeroAndSaysSo) {
  // 0.1 is not a sum of powers of two: interpolating it rounds, which must not become a picture.
  for (const float value : {0.0F, 0.1F, -3.0F, 1e-38F}) {
    const HeatMap heat({2, 3, 3, std::vector<float>(18, value)}, 7, 11, 13);
    EXPECT_EQ(heat.status(), HeatStatus::kConstant);
    EXPECT_THAT(all_values(heat, 7), Each(0.0F));
  }
}

TEST(HeatMap, OfANumberThatIsNoneIsZeroAndSaysSo) {
  for (const float bad :
       {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    Tube tube = random_tube(1, 3, 3);
    tube.values[4] = bad;
    const HeatMap heat(tube, 2, 6, 6);
    EXPECT_EQ(heat.status(), HeatStatus::kNotFinite);
    EXPECT_THAT(all_values(heat, 2), Each(0.0F));
  }
}

TEST(HeatMap, OfTheLargestFloatsIsFinite) {
  const float largest = std::numeric_limits<float>::max();
  const HeatMap heat({1, 1, 2, {-largest, largest}}, 1, 1, 2);
  EXPECT_THAT(heat.frame(0), testing::ElementsAre(FloatNear(0, 1e-6F), FloatNear(1, 1e-6F)));
}

TEST(HeatMap, FramesAreThoseOfTheUpsampledTube) {
  const Tube tube = random_tube(3, 4, 5);
  const std::vector<float> whole = upsample_trilinear(tube, 8, 9, 10);
  const auto [low, high] = std::minmax_element(whole.begin(), whole.end());
  std::vector<float> scaled;
  for (const float value : whole) {
    scaled.push_back(static_cast<float>((double{value} - *low) / (double{*high} - *low)));
  }
  const HeatMap heat(tube, 8, 9, 10);
  EXPECT_EQ(all_values(heat, 8), scaled);
  EXPECT_THROW(heat.frame(8), std::invalid_argument);
  EXPECT_THROW(heat.frame(-1), std::invalid_argument);
}

TEST(HeatColour, GrowsEverLighter) {
  double before = -1;
  for (int i = 0; i <= 100; ++i) {
    const auto [red, green, blue] = heat_colour(static_cast<float>(i) / 100);
    const double lightness = 0.2126 * red + 0.7152 * green + 0.0722 * blue;
    EXPECT_GT(lightness, before) << i;
    before = lightness;
  }
  EXPECT_EQ(heat_colour(-1), heat_colour(0));
  EXPECT_EQ(heat_colour(2), heat_colour(1));
}

TEST(BlendHeat, LeavesColdPixelsAndColoursHotOnes) {
  const std::uint8_t rgb[] = {10, 20, 30, 10, 20, 30};
  const float heat[] = {0, 1};
  std::uint8_t out[6];
  blend_heat(rgb, heat, 2, out);
  EXPECT_EQ(std::vector<int>(out, out + 3), (std::vector<int>{10, 20, 30}));
  const auto hot = heat_colour(1);
  for (int c = 0; c < 3; ++c) {
    EXPECT_NEAR(out[3 + c], 0.25 * rgb[c] + 0.75 * hot[static_cast<std::size_t>(c)], 0.51);
  }
}

TEST(KeepFocus, KeepsHotPixelsAndDarkensColdOnes) {
  const std::uint8_t rgb[] = {200, 100, 255, 200, 100, 255, 200, 100, 255};
  const float heat[] = {1, 0, -3};  // what lies outside 0..1 is the nearer end
  std::uint8_t out[9];
  keep_focus(rgb, heat, 3, out);
  EXPECT_THAT(std::vector<int>(out, out + 9),
              testing::ElementsAre(200, 100, 255, 20, 10, 26, 20, 10, 26));
}

}  // namespace
}  // namespace cfp
