#include "pipeline/run/device_pool.h"

#include <algorithm>
#include <atomic>
#include <latch>
#include <mutex>
#include <random>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "pipeline/run/batch_pipeline.h"
#include "stages/core/errors.h"
#include "tests/unit/run/clips.h"

namespace cfp {
namespace {

using test::alike;
using test::by_row;
using test::echo;
using test::make_clip;
using test::make_rows;
using testing::HasSubstr;

ExplainFunction echo_all() {
  return [](std::span<const Clip> clips, std::size_t) { return by_row(clips, echo); };
}

ClipBatch batch_of(const std::vector<int>& sizes) {
  auto clips = std::make_shared<std::vector<Clip>>();
  const auto rows = make_rows(static_cast<int>(sizes.size()));
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    clips->push_back(make_clip(rows[i], 0, sizes[i]));
  }
  return clips;
}

/// Notices of a pool, kept.
class Notices {
 public:
  NoticeFunction keep() {
    return [this](const DeviceNotice& notice) {
      const std::lock_guard lock(mutex_);
      all_.push_back(notice);
    };
  }
  std::vector<DeviceNotice> all() const {
    const std::lock_guard lock(mutex_);
    return all_;
  }

 private:
  mutable std::mutex mutex_;
  std::vector<DeviceNotice> all_;
};

TEST(DevicePool, WorksOnAllWorkersAtOnce) {
  // Each worker waits for the other: with one thread this would never end.
  std::latch both(2);
  const WorkerFactory factory = [&] {
    return [&](std::span<const Clip> clips, std::size_t) {
      both.arrive_and_wait();
      return by_row(clips, echo);
    };
  };
  DevicePool pool(alike(2, factory), {});
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
  const DevicePool pool(alike(3, slow), {});
  EXPECT_EQ(ready, 3);
}

TEST(DevicePool, ADeviceThatCannotStartIsNamedAndEndsTheOthers) {
  std::atomic<int> alive = 0;
  struct Counted {
    std::atomic<int>& alive;
    explicit Counted(std::atomic<int>& count) : alive(count) { ++alive; }
    ~Counted() { --alive; }
  };
  const WorkerFactory good = [&]() -> ExplainFunction {
    auto counted = std::make_shared<Counted>(alive);
    return [counted](std::span<const Clip> clips, std::size_t) { return by_row(clips, echo); };
  };
  const auto broken = []() -> ExplainFunction { throw SystemError("there is no such device"); };
  try {
    const DevicePool pool({{"cuda:0", good}, {"cuda:1", broken}, {"cuda:2", good}}, {});
    FAIL() << "started";
  } catch (const SystemError& error) {
    EXPECT_STREQ(error.what(), "cuda:1 cannot start: there is no such device");
  }
  EXPECT_EQ(alive, 0) << "a worker goes on behind a pool that never was";
  const auto bug = []() -> ExplainFunction { throw std::out_of_range("a bug"); };
  EXPECT_THROW(DevicePool({{"cpu", bug}}, {}), std::out_of_range);
}

TEST(DevicePool, ADeviceWithoutRoomForTheNetworkLeavesTheRunToTheOthers) {
  const auto full = []() -> ExplainFunction { throw DeviceOutOfMemory("no room"); };
  const auto lost = []() -> ExplainFunction { throw DeviceLost("uncorrectable ECC error"); };
  std::mutex mutex;
  std::vector<std::string> notices;
  const auto note = [&](const DeviceNotice& notice) {
    const std::lock_guard lock(mutex);
    notices.push_back(describe(notice));
  };
  DevicePool pool({{"cuda:0", full}, {"cuda:1", [] { return echo_all(); }}, {"cuda:2", lost}},
                  {.notice = note});
  EXPECT_THAT(notices, testing::UnorderedElementsAre(
                           testing::AllOf(testing::StartsWith("cuda:0 cannot start, the run is"),
                                          testing::EndsWith(": no room")),
                           testing::StartsWith("cuda:2 cannot start, the run is")));
  const auto clips = std::make_shared<std::vector<Clip>>();
  for (const ClipRequest& row : make_rows(3)) clips->push_back(make_clip(row));
  EXPECT_EQ(pool.submit(clips).get().size(), 3u);
  try {
    const DevicePool none({{"cuda:0", full}, {"cuda:1", full}}, {});
    FAIL() << "started";
  } catch (const SystemError& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr("no device is left"));
    EXPECT_THAT(error.what(), testing::HasSubstr("no room"));
  }
}

TEST(DevicePool, HandsErrorsThroughTheFutureAndGoesOn) {
  DevicePool pool(alike(1,
                        [] {
                          return [](std::span<const Clip> clips, std::size_t) {
                            if (clips[0].frames.length == 2) throw SystemError("no such kernel");
                            return by_row(clips, echo);
                          };
                        }),
                  {});
  auto bad = pool.submit(batch_of({2}));
  auto good = pool.submit(batch_of({1}));
  EXPECT_THROW(bad.get(), SystemError);
  EXPECT_EQ(good.get().size(), 1u);
}

TEST(DevicePool, HoldsSubmittersBackWhenTheQueueIsFull) {
  std::latch go(1);
  DevicePool pool(alike(1,
                        [&] {
                          return [&](std::span<const Clip> clips, std::size_t) {
                            go.wait();
                            return by_row(clips, echo);
                          };
                        }),
                  {.queue_limit = 1});
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
    DevicePool pool(alike(1,
                          [&] {
                            return [&](std::span<const Clip> clips, std::size_t) {
                              go.wait();
                              return by_row(clips, echo);
                            };
                          }),
                    {});
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

/// A worker that is lost in its n-th call, from 1, after it has done its work.
DeviceWorker lost_in_call(const std::string& device, int n) {
  return {device, [n]() -> ExplainFunction {
            auto calls = std::make_shared<int>(0);
            return [n, calls](std::span<const Clip> clips, std::size_t) {
              Outcomes outcomes = by_row(clips, echo);
              if (++*calls == n) throw DeviceLost("unspecified launch failure");
              return outcomes;
            };
          }};
}

TEST(DevicePool, ABatchOfALostDeviceIsDoneByAnother) {
  Notices notices;
  std::latch started(1);
  const WorkerFactory patient = [&]() -> ExplainFunction {
    return [&](std::span<const Clip> clips, std::size_t) {
      started.wait();  // so that the other one takes the first batch
      return by_row(clips, echo);
    };
  };
  DevicePool pool({lost_in_call("cuda:1", 1), {"cuda:0", patient}}, {.notice = notices.keep()});
  std::vector<std::future<Outcomes>> outcomes;
  for (int i = 0; i < 3; ++i) outcomes.push_back(pool.submit(batch_of({1, 1})));
  while (notices.all().empty()) std::this_thread::yield();
  started.count_down();
  for (auto& each : outcomes) EXPECT_EQ(each.get().size(), 2u);
  ASSERT_EQ(notices.all().size(), 1u);
  EXPECT_EQ(describe(notices.all()[0]),
            "cuda:1 is lost, its batch is done again by the 1 replica(s) that are left: "
            "unspecified launch failure");
}

TEST(DevicePool, WithoutADeviceEveryBatchIsAnError) {
  DevicePool pool({lost_in_call("cuda:0", 2), lost_in_call("cuda:1", 2)}, {.queue_limit = 1});
  // More than fit the queue: nobody may wait for ever, either.
  int done = 0, failed = 0;
  for (int i = 0; i < 12; ++i) {
    std::future<Outcomes> outcome = pool.submit(batch_of({1}));
    try {
      done += static_cast<int>(outcome.get().size());
    } catch (const SystemError& error) {
      ++failed;
      EXPECT_THAT(error.what(), HasSubstr("no device is left"));
      EXPECT_THAT(error.what(), HasSubstr("unspecified launch failure"));
    }
  }
  EXPECT_EQ(done, 2);
  EXPECT_EQ(failed, 10);
}

// Whatever fails when: the rows that are written are the same, in the same order, each once.
TEST(DevicePool, RowsAreTheSameWhateverFails) {
  const auto rows = make_rows(200);
  const unsigned seed = std::random_device()();
  SCOPED_TRACE(seed);
  std::mt19937 random(seed);
  for (int turn = 0; turn < 20; ++turn) {
    Notices notices;
    std::vector<DeviceWorker> workers = {
        {"cuda:0", echo_all},
        lost_in_call("cuda:1", 1 + static_cast<int>(random() % 9)),
        lost_in_call("cuda:2", 1 + static_cast<int>(random() % 9)),
        {"cuda:3", [limit = 1 + random() % 4]() -> ExplainFunction {
           return [limit](std::span<const Clip> clips, std::size_t) {
             if (clips.size() > limit) throw DeviceOutOfMemory("tried to allocate");
             return by_row(clips, echo);
           };
         }}};
    std::ranges::shuffle(workers, random);
    DevicePool pool(std::move(workers), {.batch_size = 5, .notice = notices.keep()});
    std::vector<std::int64_t> written;
    const PipelineCounts counts = run_batches(
        rows, {.batch_size = 5, .decode_workers = 3},
        [](const ClipRequest& request) { return std::vector<Clip>{make_clip(request)}; }, pool,
        [&](const RowOutcome& row) {
          written.push_back(row.results.at(0).row);
          return true;
        },
        [] { return false; });
    EXPECT_EQ(counts.done, 200);
    EXPECT_EQ(counts.failed + counts.given_up, 0);
    ASSERT_EQ(written.size(), 200u);
    for (std::size_t i = 0; i < written.size(); ++i) {
      EXPECT_EQ(written[i], static_cast<std::int64_t>(i));
    }
  }
}

TEST(DevicePool, WhatANoticeThrowsEndsTheBatch) {
  DevicePool pool({lost_in_call("cuda:0", 1), lost_in_call("cuda:1", 1)},
                  {.notice = [](const DeviceNotice&) { throw SystemError("disk full"); }});
  EXPECT_THROW(pool.submit(batch_of({1})).get(), SystemError);
}

}  // namespace
}  // namespace cfp
