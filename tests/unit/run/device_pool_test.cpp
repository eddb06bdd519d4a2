#include "pipeline/run/device_pool.h"

#include <atomic>
#include <latch>
#include <set>

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

ExplainFunction echo_all() {
  return [](std::span<const Clip> clips) { return by_row(clips, echo); };
}

ClipBatch batch_of(const std::vector<int>& sizes) {
  auto clips = std::make_shared<std::vector<Clip>>();
  const auto rows = make_rows(static_cast<int>(sizes.size()));
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    clips->push_back(make_clip(rows[i], 0, sizes[i]));
  }
  return clips;
}

TEST(DevicePool, CutsABatchBySizeAndNeverAboveTheLimit) {
  std::vector<std::vector<std::int64_t>> calls;
  const ExplainFunction noting = [&](std::span<const Clip> clips) {
    calls.emplace_back();
    for (const Clip& clip : clips) calls.back().push_back(clip.frames.length);
    return echo_all()(clips);
  };
  const Outcomes outcomes = explain_by_size(*batch_of({1, 1, 1, 2, 2, 1}), 2, noting);
  EXPECT_EQ(calls, (std::vector<std::vector<std::int64_t>>{{1, 1}, {1}, {2, 2}, {1}}));
  ASSERT_EQ(outcomes.size(), 6u);
  for (std::size_t i = 0; i < outcomes.size(); ++i) {
    EXPECT_EQ(std::get<0>(outcomes[i]).at(0).row, static_cast<std::int64_t>(i));
  }
}

TEST(DevicePool, NeverCutsARowOfSeveralViews) {
  std::vector<std::vector<std::pair<std::int64_t, int>>> calls;
  const ExplainFunction noting = [&](std::span<const Clip> clips) {
    calls.emplace_back();
    for (const Clip& clip : clips) calls.back().emplace_back(clip.request.row, clip.view);
    return echo_all()(clips);
  };
  std::vector<Clip> clips;
  const std::vector<int> views{2, 2, 3, 7, 1};
  const auto rows = make_rows(5);
  for (std::size_t row = 0; row < rows.size(); ++row) {
    for (int view = 0; view < views[row]; ++view) clips.push_back(make_clip(rows[row], view));
  }
  const Outcomes outcomes = explain_by_size(clips, 5, noting);
  ASSERT_EQ(calls.size(), 4u);
  EXPECT_EQ(calls[0].size(), 4u);  // two rows; the third would make seven
  EXPECT_EQ(calls[1].size(), 3u);
  EXPECT_EQ(calls[2].size(), 7u);  // more than a batch: the worker cuts it
  EXPECT_EQ(calls[3].size(), 1u);
  ASSERT_EQ(outcomes.size(), 5u);
  EXPECT_EQ(std::get<0>(outcomes[3]).size(), 7u);
}

TEST(DevicePool, NoticesAMissingOutcome) {
  const ExplainFunction forgetful = [](std::span<const Clip>) { return Outcomes(); };
  EXPECT_THROW(explain_by_size(*batch_of({1}), 1, forgetful), std::logic_error);
}

TEST(DevicePool, WorksOnAllWorkersAtOnce) {
  // Each worker waits for the other: with one thread this would never end.
  std::latch both(2);
  const WorkerFactory factory = [&] {
    return [&](std::span<const Clip> clips) {
      both.arrive_and_wait();
      return echo_all()(clips);
    };
  };
  DevicePool pool({factory, factory}, 4, 1);
  auto first = pool.submit(batch_of({1})), second = pool.submit(batch_of({1}));
  EXPECT_EQ(first.get().size(), 1u);
  EXPECT_EQ(second.get().size(), 1u);
}

TEST(DevicePool, ReturnsFromItsConstructorWhenAllAreReady) {
  std::atomic<int> ready = 0;
  const WorkerFactory slow = [&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    ++ready;
    return echo_all();
  };
  const DevicePool pool({slow, slow, slow}, 1, 1);
  EXPECT_EQ(ready, 3);
}

TEST(DevicePool, ThrowsWhatAFactoryThrows) {
  const WorkerFactory broken = []() -> ExplainFunction { throw SystemError("no such device"); };
  EXPECT_THROW(DevicePool({echo_all, broken}, 1, 1), SystemError);
}

TEST(DevicePool, HandsErrorsThroughTheFutureAndGoesOn) {
  DevicePool pool({[] {
                    return [](std::span<const Clip> clips) {
                      if (clips[0].frames.length == 2) throw SystemError("out of memory");
                      return echo_all()(clips);
                    };
                  }},
                  4, 1);
  auto bad = pool.submit(batch_of({2}));
  auto good = pool.submit(batch_of({1}));
  EXPECT_THROW(bad.get(), SystemError);
  EXPECT_EQ(good.get().size(), 1u);
}

TEST(DevicePool, HoldsSubmittersBackWhenTheQueueIsFull) {
  std::latch go(1);
  DevicePool pool({[&] {
                    return [&](std::span<const Clip> clips) {
                      go.wait();
                      return echo_all()(clips);
                    };
                  }},
                  1, 1);
  std::atomic<int> submitted = 0;
  std::vector<std::future<Outcomes>> outcomes;
  std::jthread submitter([&] {
    for (int i = 0; i < 4; ++i) {
      outcomes.push_back(pool.submit(batch_of({1})));
      ++submitted;
    }
  });
  // One is in work and one waits; time cannot make it three.
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  EXPECT_LE(submitted, 2);
  go.count_down();
  submitter.join();
  for (auto& each : outcomes) EXPECT_EQ(each.get().size(), 1u);
}

TEST(DevicePool, GivesWaitingBatchesUpWhenItGoes) {
  std::latch go(1);
  std::future<Outcomes> waiting;
  {
    DevicePool pool({[&] {
                      return [&](std::span<const Clip> clips) {
                        go.wait();
                        return echo_all()(clips);
                      };
                    }},
                    4, 1);
    auto in_work = pool.submit(batch_of({1}));
    waiting = pool.submit(batch_of({1}));
    std::jthread later([&] {
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
      go.count_down();
    });
  }
  // Either it was never begun, or the worker took it before it heard of the end.
  try {
    waiting.get();
  } catch (const std::future_error& error) {
    EXPECT_EQ(error.code(), std::future_errc::broken_promise);
  }
}

}  // namespace
}  // namespace cfp
