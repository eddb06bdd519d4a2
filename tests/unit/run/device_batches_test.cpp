#include "pipeline/run/device_batches.h"

#include <algorithm>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "stages/core/errors.h"
#include "tests/unit/run/clips.h"

namespace cfp {
namespace {

using test::by_row;
using test::echo;
using test::make_clip;
using test::make_rows;
using testing::ElementsAre;
using testing::HasSubstr;

std::vector<Clip> clips_of(const std::vector<int>& sizes) {
  std::vector<Clip> clips;
  const auto rows = make_rows(static_cast<int>(sizes.size()));
  for (std::size_t i = 0; i < sizes.size(); ++i) clips.push_back(make_clip(rows[i], 0, sizes[i]));
  return clips;
}

void no_notice(const DeviceNotice& notice) { FAIL() << describe(notice); }

/// A device that fits so many frames at once, and notes what it is called with.
struct SmallDevice {
  std::int64_t memory = 0;  ///< frames
  std::vector<std::size_t> calls;
  std::vector<DeviceNotice> notices;

  DeviceBatches batches(std::size_t batch_size) {
    const auto explain = [this](std::span<const Clip> clips, std::size_t at_once) {
      calls.push_back(std::min(clips.size(), at_once));
      if (static_cast<std::int64_t>(calls.back()) * clips[0].frames.length > memory) {
        throw DeviceOutOfMemory("tried to allocate 2.00 GiB");
      }
      return by_row(clips, echo);
    };
    return {"cuda:0", explain, batch_size,
            [this](const DeviceNotice& notice) { notices.push_back(notice); }};
  }
};

void expect_all_rows(const Outcomes& outcomes, std::size_t rows) {
  ASSERT_EQ(outcomes.size(), rows);
  for (std::size_t i = 0; i < rows; ++i) {
    EXPECT_EQ(std::get<0>(outcomes[i]).at(0).row, static_cast<std::int64_t>(i));
  }
}

TEST(DeviceBatches, CutsBySizeAndNeverAboveTheLimit) {
  std::vector<std::vector<std::int64_t>> calls;
  const ExplainFunction noting = [&](std::span<const Clip> clips, std::size_t) {
    calls.emplace_back();
    for (const Clip& clip : clips) calls.back().push_back(clip.frames.length);
    return by_row(clips, echo);
  };
  DeviceBatches batches("cpu", noting, 2, no_notice);
  expect_all_rows(batches(clips_of({1, 1, 1, 2, 2, 1})), 6);
  EXPECT_EQ(calls, (std::vector<std::vector<std::int64_t>>{{1, 1}, {1}, {2, 2}, {1}}));
}

TEST(DeviceBatches, NeverCutsARowOfSeveralViews) {
  std::vector<std::size_t> calls;
  const ExplainFunction noting = [&](std::span<const Clip> clips, std::size_t) {
    calls.push_back(clips.size());
    return by_row(clips, echo);
  };
  std::vector<Clip> clips;
  const std::vector<int> views{2, 2, 3, 7, 1};
  const auto rows = make_rows(5);
  for (std::size_t row = 0; row < rows.size(); ++row) {
    for (int view = 0; view < views[row]; ++view) clips.push_back(make_clip(rows[row], view));
  }
  DeviceBatches batches("cpu", noting, 5, no_notice);
  const Outcomes outcomes = batches(clips);
  // Two rows, for the third would make seven; one that is more than a batch, which the worker cuts.
  EXPECT_THAT(calls, ElementsAre(4, 3, 7, 1));
  expect_all_rows(outcomes, 5);
  EXPECT_EQ(std::get<0>(outcomes[3]).size(), 7u);
}

TEST(DeviceBatches, NoticesAMissingOutcome) {
  const ExplainFunction forgetful = [](std::span<const Clip>, std::size_t) { return Outcomes(); };
  DeviceBatches batches("cpu", forgetful, 1, no_notice);
  EXPECT_THROW(batches(clips_of({1})), std::logic_error);
}

TEST(DeviceBatches, HalvesWhatDoesNotFitAndStaysThere) {
  SmallDevice device{.memory = 3};
  DeviceBatches batches = device.batches(8);
  expect_all_rows(batches(clips_of({1, 1, 1, 1, 1, 1, 1, 1})), 8);
  EXPECT_THAT(device.calls, ElementsAre(8, 4, 2, 2, 2, 2));
  EXPECT_EQ(batches.batch_size(), 2u);
  device.calls.clear();
  expect_all_rows(batches(clips_of({1, 1, 1})), 3);
  EXPECT_THAT(device.calls, ElementsAre(2, 1));
  ASSERT_EQ(device.notices.size(), 2u);
  EXPECT_EQ(describe(device.notices[1]),
            "cuda:0 is out of memory, from now on it computes 2 clip(s) at once: tried to allocate "
            "2.00 GiB");
}

TEST(DeviceBatches, ComputesFewerViewsOfARowAtOnce) {
  SmallDevice device{.memory = 2};
  std::vector<Clip> clips;
  for (int view = 0; view < 6; ++view) clips.push_back(make_clip(make_rows(1)[0], view));
  const Outcomes outcomes = device.batches(4)(clips);
  EXPECT_THAT(device.calls, ElementsAre(4, 2));
  ASSERT_EQ(outcomes.size(), 1u);
  EXPECT_EQ(std::get<0>(outcomes[0]).size(), 6u);
}

TEST(DeviceBatches, AClipThatDoesNotFitAloneIsAFailure) {
  SmallDevice device{.memory = 3};
  const Outcomes outcomes = device.batches(2)(clips_of({1, 9, 1}));
  ASSERT_EQ(outcomes.size(), 3u);
  const Failure& failure = std::get<Failure>(outcomes[1]);
  EXPECT_EQ(failure.row, 1);
  EXPECT_EQ(failure.clip_id, "clip 1");
  EXPECT_EQ(failure.stage, "network");
  EXPECT_EQ(failure.reason, FailureReason::kMemory);
  EXPECT_THAT(failure.message, HasSubstr("9 frames of 1x1 pixels do not fit alone: tried to"));
  EXPECT_EQ(std::get<0>(outcomes[2]).at(0).row, 2);
  EXPECT_TRUE(device.notices.empty());
}

// Somebody else took the memory: not the clip's fault, and no reason to fail clip after clip.
TEST(DeviceBatches, ADeviceOnWhichNothingFitsAnyMoreIsLost) {
  SmallDevice device{.memory = 3};
  DeviceBatches batches = device.batches(2);
  expect_all_rows(batches(clips_of({2})), 1);
  device.memory = 1;
  try {
    batches(clips_of({2}));
    FAIL() << "no error";
  } catch (const DeviceLost& error) {
    EXPECT_THAT(error.what(), HasSubstr("not even one clip fits any more"));
  }
}

}  // namespace
}  // namespace cfp
