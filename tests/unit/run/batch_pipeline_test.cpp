#include "pipeline/run/batch_pipeline.h"

#include <atomic>
#include <chrono>
#include <future>
#include <random>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "stages/core/errors.h"
#include "tests/unit/run/clips.h"

namespace cfp {
namespace {

using test::alike;
using test::by_row;
using test::echo;
using test::make_clip;
using test::make_rows;

void short_pause(std::int64_t seed) {
  std::mt19937 random(static_cast<unsigned>(seed));
  std::this_thread::sleep_for(std::chrono::microseconds(random() % 2000));
}

/// A worker that answers each clip, now sooner, now later.
WorkerFactory echo_worker() {
  return [] {
    return [](std::span<const Clip> clips, std::size_t) {
      return by_row(clips, [](std::span<const Clip> row) {
        short_pause(row[0].request.row);
        return echo(row);
      });
    };
  };
}

std::vector<Clip> decode_one(const ClipRequest& request) {
  short_pause(request.row * 7 + 1);
  if (request.row % 10 == 3) throw DataError(FailureReason::kEmpty, "x: nothing in it");
  return {make_clip(request)};
}

bool never() { return false; }

/// What was written, a word a row.
struct Written {
  std::vector<std::string> rows;
  bool operator()(const RowOutcome& row) {
    rows.push_back(row.failure ? fmt::format("{}: {}", row.request->row, row.failure->message)
                               : fmt::format("{}: {} views, class {}", row.request->row,
                                             row.results.size(), row.results.at(0).prediction));
    return true;
  }
};

TEST(BatchPipeline, WritesTheSameAtAnyNumberOfThreads) {
  const auto rows = make_rows(97);
  std::vector<std::string> expected;
  for (const int workers : {1, 2, 4, 13}) {
    for (const std::size_t devices : {1, 3}) {
      Written written;
      DevicePool pool(alike(devices, echo_worker()), {});
      const PipelineCounts counts = run_batches(rows, {.batch_size = 5, .decode_workers = workers},
                                                decode_one, pool, std::ref(written), never);
      EXPECT_EQ(counts.done, 87);
      EXPECT_EQ(counts.failed, 10);
      EXPECT_EQ(counts.given_up, 0);
      if (expected.empty()) expected = written.rows;
      EXPECT_EQ(written.rows, expected) << workers << " workers, " << devices << " devices";
    }
  }
  ASSERT_EQ(expected.size(), 97u);
  EXPECT_EQ(expected[3], "3: x: nothing in it");
  EXPECT_EQ(expected[96], "96: 1 views, class 96");
}

TEST(BatchPipeline, TellsAFailureWhereItHappened) {
  const auto rows = make_rows(4);
  std::vector<Failure> failures;
  DevicePool pool(alike(1, echo_worker()), {});
  run_batches(
      rows, {}, decode_one, pool,
      [&](const RowOutcome& row) {
        if (row.failure) failures.push_back(*row.failure);
        return true;
      },
      never);
  ASSERT_EQ(failures.size(), 1u);
  EXPECT_EQ(failures[0].row, 3);
  EXPECT_EQ(failures[0].clip_id, "clip 3");
  EXPECT_EQ(failures[0].stage, "decode");
  EXPECT_EQ(failures[0].reason, FailureReason::kEmpty);
}

TEST(BatchPipeline, ARowWithABadViewIsAFailure) {
  const auto rows = make_rows(3);
  DevicePool pool(alike(1,
                        [] {
                          return [](std::span<const Clip> clips, std::size_t) {
                            return by_row(clips, [](std::span<const Clip> row) -> RowExplanation {
                              if (row[0].request.row != 1) return echo(row);
                              return Failure{.row = 1, .message = "not finite"};
                            });
                          };
                        }),
                  {.batch_size = 2});
  Written written;
  const PipelineCounts counts = run_batches(
      rows, {.batch_size = 3},
      [](const ClipRequest& r) {
        return std::vector<Clip>{make_clip(r, 0), make_clip(r, 1)};
      },
      pool, std::ref(written), never);
  EXPECT_EQ(counts.done, 2);
  EXPECT_EQ(counts.failed, 1);
  EXPECT_THAT(written.rows,
              testing::ElementsAre("0: 2 views, class 0", "1: not finite", "2: 2 views, class 2"));
}

TEST(BatchPipeline, DecodesAsManyAtOnceAsAllowedAndNoMore) {
  for (const int workers : {1, 3}) {
    std::atomic<int> now = 0, most = 0;
    DevicePool pool(alike(1, echo_worker()), {});
    run_batches(
        make_rows(60), {.batch_size = 8, .decode_workers = workers},
        [&](const ClipRequest& request) {
          const int mine = ++now;
          int seen = most;
          while (mine > seen && !most.compare_exchange_weak(seen, mine)) {
          }
          // On a busy machine it takes a while until all that may decode do.
          for (int tries = 0; most < workers && tries < 5000; ++tries) {
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
          }
          std::this_thread::sleep_for(std::chrono::milliseconds(1));
          --now;
          return std::vector<Clip>{make_clip(request)};
        },
        pool, [](const RowOutcome&) { return true; }, never);
    EXPECT_EQ(most, workers);
  }
}

TEST(BatchPipeline, HoldsABoundedNumberOfBatches) {
  std::atomic<std::int64_t> decoded = 0, ahead = 0;
  std::int64_t written = 0;
  DevicePool pool(alike(1, echo_worker()), {.queue_limit = 3, .batch_size = 2});
  run_batches(
      make_rows(80), {.batch_size = 2, .decode_workers = 4, .max_batches_in_flight = 3},
      [&](const ClipRequest& request) {
        ++decoded;
        return std::vector<Clip>{make_clip(request)};
      },
      pool,
      [&](const RowOutcome&) {
        ahead = std::max<std::int64_t>(ahead, decoded - written);
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
        ++written;
        return true;
      },
      never);
  EXPECT_LE(ahead, 3 * 2);
}

TEST(BatchPipeline, StopsFromOutsideAndWritesWhatWasBegun) {
  std::atomic<int> decoded = 0;
  std::int64_t written = 0;
  DevicePool pool(alike(1, echo_worker()), {});
  const PipelineCounts counts = run_batches(
      make_rows(1000), {.batch_size = 4, .decode_workers = 2},
      [&](const ClipRequest& request) {
        ++decoded;
        return std::vector<Clip>{make_clip(request)};
      },
      pool,
      [&](const RowOutcome&) {
        ++written;
        return true;
      },
      [&] { return decoded >= 20; });
  EXPECT_EQ(counts.done, decoded) << "a clip that was decoded was not written";
  EXPECT_EQ(counts.done, written);
  EXPECT_LT(counts.done, 100);
  EXPECT_EQ(counts.done + counts.given_up, 1000);
}

TEST(BatchPipeline, GivesUpWhatIsNotFinishedWithinTheGrace) {
  std::promise<void> release;
  const std::shared_future<void> released = release.get_future().share();
  // A device that does not come to its end before the test lets it.
  DevicePool pool(alike(1,
                        [released] {
                          return [released](std::span<const Clip> clips, std::size_t) {
                            released.wait();
                            return by_row(clips, echo);
                          };
                        }),
                  {});
  std::atomic<int> decoded = 0;
  const PipelineCounts counts = run_batches(
      make_rows(100),
      {.batch_size = 4, .decode_workers = 2, .grace = std::chrono::milliseconds(100)},
      [&](const ClipRequest& request) {
        ++decoded;
        return std::vector<Clip>{make_clip(request)};
      },
      pool, [](const RowOutcome&) { return true; }, [&] { return decoded >= 4; });
  EXPECT_EQ(counts.done, 0);
  EXPECT_EQ(counts.given_up, 100);
  release.set_value();
}

TEST(BatchPipeline, BeginsNoClipOnceTheGraceIsOver) {
  DevicePool pool(alike(1, echo_worker()), {});
  std::atomic<int> decoded = 0;
  const PipelineCounts counts = run_batches(
      make_rows(100),
      {.batch_size = 16, .decode_workers = 1, .grace = std::chrono::milliseconds(0)},
      [&](const ClipRequest& request) {
        ++decoded;
        return std::vector<Clip>{make_clip(request)};
      },
      pool, [](const RowOutcome&) { return true; }, [&] { return decoded >= 1; });
  EXPECT_EQ(decoded, 1);
  EXPECT_EQ(counts.done, 0);
  EXPECT_EQ(counts.given_up, 100);
}

TEST(BatchPipeline, StopsAtTheSameRowWhenTheWriterHasEnough) {
  for (const int workers : {1, 4}) {
    DevicePool pool(alike(1, echo_worker()), {});
    std::int64_t last = -1;
    const PipelineCounts counts = run_batches(
        make_rows(200), {.batch_size = 4, .decode_workers = workers}, decode_one, pool,
        [&](const RowOutcome& row) {
          last = row.request->row;
          return last != 33;
        },
        never);
    EXPECT_EQ(last, 33);
    EXPECT_EQ(counts.done + counts.failed, 34);
    EXPECT_EQ(counts.given_up, 166);
  }
}

TEST(BatchPipeline, EndsWithTheErrorOfAnyStage) {
  const auto rows = make_rows(50);
  const auto write_all = [](const RowOutcome&) { return true; };
  {
    DevicePool pool(alike(1, echo_worker()), {});
    EXPECT_THROW(run_batches(
                     rows, {}, decode_one, pool,
                     [](const RowOutcome& row) -> bool {
                       if (row.request->row == 9) throw SystemError("disk full");
                       return true;
                     },
                     never),
                 SystemError);
  }
  {
    DevicePool pool(alike(2,
                          [] {
                            return [](std::span<const Clip>, std::size_t) -> Outcomes {
                              throw DeviceLost("unspecified launch failure");
                            };
                          }),
                    {});
    EXPECT_THROW(run_batches(rows, {}, decode_one, pool, write_all, never), SystemError);
  }
  {
    DevicePool pool(alike(1, echo_worker()), {});
    EXPECT_THROW(
        run_batches(
            rows, {},
            [](const ClipRequest&) -> std::vector<Clip> { throw std::out_of_range("a bug"); }, pool,
            write_all, never),
        std::out_of_range);
  }
}

TEST(BatchPipeline, TakesNoRowsAtAll) {
  DevicePool pool(alike(1, echo_worker()), {});
  const PipelineCounts counts = run_batches(
      {}, {}, decode_one, pool, [](const RowOutcome&) { return true; }, never);
  EXPECT_EQ(counts.done + counts.failed + counts.given_up, 0);
}

}  // namespace
}  // namespace cfp
