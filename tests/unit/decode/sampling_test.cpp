#include "stages/decode/sampling.h"

#include <functional>
#include <limits>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "stages/core/errors.h"

namespace cfp {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::vector<std::int64_t> first_frames(std::int64_t available, const SamplingOptions& options) {
  std::vector<std::int64_t> firsts;
  for (const auto& view : sample_frames(available, options)) firsts.push_back(view.front());
  return firsts;
}

TEST(Sampling, TakesTheCentralClip) {
  const auto views = sample_frames(300, {.clip_len = 4, .frame_interval = 2});
  ASSERT_EQ(views.size(), 1u);
  EXPECT_THAT(views[0], ElementsAre(146, 148, 150, 152));  // (300 - 7) / 2 = 146
  EXPECT_THAT(first_frames(300, {.clip_len = 16}), ElementsAre(142));
  EXPECT_THAT(first_frames(301, {.clip_len = 16}), ElementsAre(142));
}

// Expected values were worked out from MMAction2's code with NumPy: np.round(np.arange(10) * 237 /
// 9).
TEST(Sampling, SpreadsUniformClipsAsMMAction2DoesInTestMode) {
  EXPECT_THAT(first_frames(300, {.clip_len = 32,
                                 .frame_interval = 2,
                                 .num_clips = 10,
                                 .policy = SamplingPolicy::kUniform}),
              ElementsAre(0, 26, 53, 79, 105, 132, 158, 184, 211, 237));
  // 5 / 2 = 2.5 is rounded to the even neighbour, as NumPy does.
  EXPECT_THAT(
      first_frames(21, {.clip_len = 16, .num_clips = 3, .policy = SamplingPolicy::kUniform}),
      ElementsAre(0, 2, 5));
  EXPECT_THAT(
      first_frames(22, {.clip_len = 16, .num_clips = 5, .policy = SamplingPolicy::kUniform}),
      ElementsAre(0, 2, 3, 4, 6));
}

TEST(Sampling, TakesTheMiddleOfEachPartForClipsOfOneFrame) {
  EXPECT_THAT(
      first_frames(300, {.clip_len = 1, .num_clips = 3, .policy = SamplingPolicy::kUniform}),
      ElementsAre(50, 150, 250));
  EXPECT_THAT(first_frames(10, {.clip_len = 1, .num_clips = 4, .policy = SamplingPolicy::kUniform}),
              ElementsAre(1, 3, 6, 8));  // 1.25, 3.75, 6.25, 8.75
  EXPECT_THAT(first_frames(9, {.clip_len = 1}), ElementsAre(4));
}

// np.linspace(0, 236, 10, dtype=int), then + 0 and + 32.
TEST(Sampling, TakesDenseClipsFromEachPosition) {
  const SamplingOptions dense{.clip_len = 8, .num_clips = 1, .policy = SamplingPolicy::kDense};
  EXPECT_THAT(first_frames(300, dense), ElementsAre(0, 26, 52, 78, 104, 131, 157, 183, 209, 236));
  SamplingOptions pairs = dense;
  pairs.num_clips = 2;
  pairs.dense_positions = 3;
  EXPECT_EQ(view_count(pairs), 6);
  pairs.crops = 3;
  EXPECT_EQ(clip_count(pairs), 6);
  EXPECT_EQ(view_count(pairs), 18);
  EXPECT_THAT(first_frames(300, pairs), ElementsAre(0, 32, 118, 150, 236, 268));
  // Shorter than the range: one position, and offsets start again from 0.
  EXPECT_THAT(first_frames(20, pairs), ElementsAre(0, 12, 0, 12, 0, 12));
}

TEST(Sampling, LoopsOrRepeatsTheLastFrameReached) {
  SamplingOptions options{.clip_len = 6, .frame_interval = 2, .out_of_bound = OutOfBound::kLoop};
  EXPECT_THAT(sample_frames(5, options)[0], ElementsAre(0, 2, 4, 1, 3, 0));
  options.out_of_bound = OutOfBound::kRepeatLast;
  // As in MMAction2 the last frame that the clip's own steps reach, which may not be the last one.
  EXPECT_THAT(sample_frames(4, options)[0], ElementsAre(0, 2, 2, 2, 2, 2));
  EXPECT_THAT(sample_frames(1, options)[0], ElementsAre(0, 0, 0, 0, 0, 0));
}

TEST(Sampling, FailsAsTooShortWhereNothingMayBeRepeated) {
  const SamplingOptions options{.clip_len = 16, .out_of_bound = OutOfBound::kError};
  EXPECT_EQ(sample_frames(16, options)[0].back(), 15);
  try {
    sample_frames(15, options);
    FAIL() << "15 frames made a clip of 16";
  } catch (const DataError& error) {
    EXPECT_EQ(error.reason(), FailureReason::kTooShort);
    EXPECT_THAT(error.what(), HasSubstr("15 frames are available"));
  }
}

TEST(Sampling, FailsWithoutFrames) {
  try {
    sample_frames(0, {});
    FAIL();
  } catch (const DataError& error) {
    EXPECT_EQ(error.reason(), FailureReason::kEmpty);
  }
}

TEST(Sampling, AlwaysGivesIndicesThatExist) {
  for (const SamplingPolicy policy :
       {SamplingPolicy::kCenter, SamplingPolicy::kUniform, SamplingPolicy::kDense}) {
    for (const OutOfBound out_of_bound : {OutOfBound::kLoop, OutOfBound::kRepeatLast}) {
      for (std::int64_t available = 1; available < 200; available += 7) {
        const SamplingOptions options{.clip_len = 9,
                                      .frame_interval = 3,
                                      .num_clips = policy == SamplingPolicy::kCenter ? 1 : 7,
                                      .policy = policy,
                                      .out_of_bound = out_of_bound};
        const auto views = sample_frames(available, options);
        EXPECT_EQ(static_cast<int>(views.size()), clip_count(options));
        for (const auto& view : views) {
          EXPECT_EQ(view.size(), 9u);
          EXPECT_THAT(view, testing::Each(testing::AllOf(testing::Ge(0), testing::Lt(available))));
        }
      }
    }
  }
}

TEST(Sampling, NamesTheOptionThatIsOutOfRange) {
  const auto message = [](const SamplingOptions& options) -> std::string {
    try {
      check(options);
    } catch (const ConfigError& error) {
      return error.what();
    }
    return "no error";
  };
  EXPECT_EQ(message({}), "no error");
  EXPECT_THAT(message({.clip_len = 0}), HasSubstr("sampling.clip_len is 0; it must be 1 to"));
  EXPECT_THAT(message({.frame_interval = -1}), HasSubstr("sampling.frame_interval is -1"));
  EXPECT_THAT(message({.num_clips = 3}), HasSubstr("'center' gives one clip"));
  EXPECT_THAT(message({.target_fps = 0.0}), HasSubstr("sampling.target_fps is 0"));
  EXPECT_THAT(message({.target_fps = std::numeric_limits<double>::quiet_NaN()}),
              HasSubstr("sampling.target_fps"));
  EXPECT_THAT(message({.policy = SamplingPolicy::kDense, .dense_positions = 0}),
              HasSubstr("sampling.dense_positions is 0"));
}

TEST(Resample, TakesTheFrameThatIsShownAtEachTime) {
  std::vector<double> times;
  for (int i = 0; i < 12; ++i) times.push_back(i / 30.0);
  EXPECT_THAT(resample(times, 0.4, 1e-6, 15), ElementsAre(0, 2, 4, 6, 8, 10));
  EXPECT_THAT(resample(times, 0.4, 1e-6, 20), ElementsAre(0, 1, 3, 4, 6, 7, 9, 10));
  EXPECT_THAT(resample({0, 0.1}, 0.2, 1e-6, 20), ElementsAre(0, 0, 1, 1));
}

TEST(Resample, ForgivesStampsThatWereRoundedToTheClock) {
  // 30 frames a second in milliseconds, as Matroska stores them.
  EXPECT_THAT(resample({0, 0.033, 0.067, 0.100, 0.133, 0.167}, 0.2, 0.001, 15),
              ElementsAre(0, 2, 4));
}

TEST(Resample, KeepsToTimeWhereFramesAreUneven) {
  EXPECT_THAT(resample({0, 0.5, 0.6, 0.7}, 1.0, 1e-6, 10),
              ElementsAre(0, 0, 0, 0, 0, 1, 2, 3, 3, 3));
}

TEST(Resample, GivesTheOnlyFrameOfAStill) {
  EXPECT_THAT(resample({0}, 0, 0.001, 25), ElementsAre(0));
  EXPECT_THAT(resample({}, 0, 0.001, 25), ElementsAre());
}

}  // namespace
}  // namespace cfp
