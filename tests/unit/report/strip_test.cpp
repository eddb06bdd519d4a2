#include "results/report/strip.h"

#include <algorithm>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace cfp {
namespace {

using testing::ElementsAre;

TEST(EvenlySpread, TakesFirstAndLast) {
  EXPECT_THAT(evenly_spread(10, 4), ElementsAre(0, 3, 6, 9));
  EXPECT_THAT(evenly_spread(3, 4), ElementsAre(0, 1, 2));
  EXPECT_THAT(evenly_spread(9, 1), ElementsAre(4));
  EXPECT_TRUE(evenly_spread(0, 4).empty());
}

/// Frames of 2 x 4 pixels, all of frame t of the value t.
Frames grey_frames(std::int64_t length) {
  Frames frames{length, 2, 4, {}};
  for (std::int64_t t = 0; t < length; ++t) {
    frames.rgb_thwc.insert(frames.rgb_thwc.end(), 24, static_cast<std::uint8_t>(t));
  }
  return frames;
}

TEST(Strip, PutsFramesSideBySide) {
  Strip strip = make_strip(grey_frames(5), {1, 4}, 100);
  EXPECT_EQ(strip.height, 2);
  EXPECT_EQ(strip.width, 4 + 2 + 4);
  EXPECT_EQ(strip.frame_width, 4);
  EXPECT_EQ(*strip.row(0, 1), 1);
  EXPECT_EQ(*(strip.row(1, 1) - 1), 255) << "white between the frames";
  EXPECT_EQ(*strip.row(1, 1), 4);
}

TEST(Strip, EnlargesSmallFramesByAWholeNumber) {
  Frames frames = grey_frames(2);
  frames.frame(1)[3] = 99;  // second pixel of the first row
  Strip strip = make_strip(frames, {0, 1}, 100, 5);
  EXPECT_EQ(strip.height, 3 * 2);
  EXPECT_EQ(strip.frame_width, 3 * 4);
  for (std::int64_t y = 0; y < 6; ++y) {
    for (std::int64_t x = 0; x < 12; ++x) {
      EXPECT_EQ(strip.row(1, y)[3 * x], y < 3 && x >= 3 && x < 6 ? 99 : 1) << y << ' ' << x;
    }
  }
}

TEST(Strip, IsStackedWithWhiteBetween) {
  const Strip one = make_strip(grey_frames(1), {0}, 100);
  const Strip both = stack({one, one});
  EXPECT_EQ(both.height, 2 + 2 + 2);
  EXPECT_EQ(both.rgb.size(), static_cast<std::size_t>(both.height * both.width * 3));
  EXPECT_EQ(both.rgb[0], 0);
  EXPECT_EQ(both.rgb[static_cast<std::size_t>(2 * both.width * 3)], 255);
  EXPECT_EQ(both.rgb[static_cast<std::size_t>(4 * both.width * 3)], 0);
}

TEST(DrawHeat, DrawsEachFrameItsOwnHeat) {
  const Tube tube{2, 1, 1, {0, 1}};
  Frames frames = grey_frames(2);
  std::fill(frames.rgb_thwc.begin(), frames.rgb_thwc.end(), 200);
  const Strip plain = make_strip(frames, {0, 1}, 100);
  const HeatMap heat(tube, 2, plain.height, plain.frame_width);
  Strip focus = draw_heat(plain, heat, {0, 1}, keep_focus);
  EXPECT_EQ(*focus.row(0, 0), 20);
  EXPECT_EQ(*focus.row(1, 0), 200);
}

}  // namespace
}  // namespace cfp
