#include "results/report/frame_times.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace cfp {
namespace {

using testing::DoubleNear;
using testing::ElementsAre;

// Sums and differences of numbers below 10: a few units in the last place.
constexpr double kRounding = 1e-12;

std::vector<double> starts(const std::vector<ShownFrame>& frames) {
  std::vector<double> all;
  for (const ShownFrame& frame : frames) all.push_back(frame.start_s);
  return all;
}

std::vector<double> durations(const std::vector<ShownFrame>& frames) {
  std::vector<double> all;
  for (const ShownFrame& frame : frames) all.push_back(frame.duration_s);
  return all;
}

auto near(double value) { return DoubleNear(value, kRounding); }

TEST(ShownFrames, KeepTheirTimes) {
  const auto frames = shown_frames({3.0, 3.1, 3.4, 3.5});
  EXPECT_THAT(starts(frames), ElementsAre(0, near(0.1), near(0.4), near(0.5)));
  EXPECT_THAT(durations(frames), ElementsAre(near(0.1), near(0.3), near(0.1), near(0.1)));
}

TEST(ShownFrames, OfALoopGoOn) {  // ABC -> ABCABC
  const auto frames = shown_frames({0, 0.5, 1.0, 0, 0.5, 1.0});
  EXPECT_THAT(starts(frames), ElementsAre(0, 0.5, 1, 1.5, 2, 2.5));
}

TEST(ShownFrames, OfARepeatedLastFrameGoOn) {  // ABC -> ABCCC
  const auto frames = shown_frames({0, 0.5, 1.0, 1.0, 1.0});
  EXPECT_THAT(starts(frames), ElementsAre(0, 0.5, 1, 1.5, 2));
}

TEST(ShownFrames, ShareTheTimeOfARepeatedOne) {  // as target_fps repeats them
  const auto frames = shown_frames({0, 0, 0.2, 0.2, 0.4});
  EXPECT_THAT(durations(frames),
              ElementsAre(near(0.1), near(0.1), near(0.1), near(0.1), near(0.1)));
}

TEST(ShownFrames, WithoutAnyPaceHaveTheUsualOne) {
  EXPECT_THAT(durations(shown_frames({7})), ElementsAre(kFrameWithoutPace_s));
  EXPECT_THAT(durations(shown_frames({7, 7})),
              ElementsAre(kFrameWithoutPace_s, kFrameWithoutPace_s));
  EXPECT_TRUE(shown_frames({}).empty());
}

TEST(ShownFrames, AreNeverShownForNoTime) {
  for (const ShownFrame& frame : shown_frames({0, 1e-9, 2e-9, 1})) {
    EXPECT_GE(frame.duration_s, 1e-4);
  }
}

}  // namespace
}  // namespace cfp
