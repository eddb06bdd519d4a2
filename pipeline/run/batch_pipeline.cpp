#include "pipeline/run/batch_pipeline.h"

#include <algorithm>
#include <atomic>
#include <memory>
#include <semaphore>
#include <stdexcept>

#include <fmt/format.h>
#include <oneapi/tbb/global_control.h>
#include <oneapi/tbb/parallel_for.h>
#include <oneapi/tbb/parallel_pipeline.h>
#include <oneapi/tbb/task_arena.h>

#include "stages/core/errors.h"

namespace cfp {
namespace {

namespace tbb = oneapi::tbb;

/// Between two looks at whether a stop has been asked for.
constexpr std::chrono::milliseconds kLook{50};

/// A row on its way. Exactly one of: clips, a failure, given up.
struct RowInWork {
  const ClipRequest* request = nullptr;
  std::vector<Clip> clips;
  std::optional<Failure> failure;
  bool given_up = false;
  std::size_t first_clip = 0, clip_count = 0;  ///< in the batch's clips, once they are put together
  std::size_t outcome = 0;                     ///< in the batch's outcomes, if it has clips
};

struct BatchInWork {
  std::vector<RowInWork> rows;
  ClipBatch clips;
  std::future<Outcomes> outcomes;
};

// oneTBB copies what passes between filters.
using BatchPointer = std::shared_ptr<BatchInWork>;

Failure decode_failure(const ClipRequest& request, const DataError& error) {
  return {.row = request.row,
          .clip_id = request.clip_id,
          .path = request.media.path,
          .stage = "decode",
          .reason = error.reason(),
          .message = error.what()};
}

/// When a stop was first seen, by any thread, and how long ago that may be.
class StopClock {
 public:
  StopClock(const std::function<bool()>& stop, std::chrono::duration<double> grace)
      : stop_(stop), grace_(grace) {}

  /// @return whether a stop has been asked for
  bool stopped() {
    if (!stop_()) return false;
    std::chrono::steady_clock::duration never{0};
    at_.compare_exchange_strong(never, std::chrono::steady_clock::now().time_since_epoch());
    return true;
  }
  /// @return whether the time since then is used up
  bool is_over() {
    return stopped() && std::chrono::steady_clock::now().time_since_epoch() - at_.load() >= grace_;
  }

 private:
  const std::function<bool()>& stop_;
  std::chrono::duration<double> grace_;
  std::atomic<std::chrono::steady_clock::duration> at_{std::chrono::steady_clock::duration{0}};
};

class Pipeline {
 public:
  Pipeline(std::span<const ClipRequest> rows, const PipelineOptions& options,
           const DecodeFunction& decode, DevicePool& pool, const WriteFunction& write,
           const std::function<bool()>& stop)
      : rows_(rows),
        options_(options),
        decode_(decode),
        pool_(pool),
        write_(write),
        clock_(stop, options.grace),
        decode_slots_(options.decode_workers) {}

  PipelineCounts run() {
    // One thread more than decode at once: the one that waits for a device in the last filter.
    const int threads = options_.decode_workers + 1;
    const tbb::global_control allow(tbb::global_control::max_allowed_parallelism,
                                    static_cast<std::size_t>(threads));
    tbb::task_arena arena(threads);
    arena.execute([&] {
      tbb::parallel_pipeline(
          static_cast<std::size_t>(options_.max_batches_in_flight),
          tbb::make_filter<void, BatchPointer>(
              tbb::filter_mode::serial_in_order,
              [&](tbb::flow_control& control) { return next_batch(control); }) &
              tbb::make_filter<BatchPointer, BatchPointer>(
                  tbb::filter_mode::parallel,
                  [&](BatchPointer b) { return decode(std::move(b)); }) &
              tbb::make_filter<BatchPointer, BatchPointer>(
                  tbb::filter_mode::parallel,
                  [&](BatchPointer b) { return submit(std::move(b)); }) &
              tbb::make_filter<BatchPointer, void>(tbb::filter_mode::serial_in_order,
                                                   [&](BatchPointer b) { write(*b); }));
    });
    counts_.given_up += static_cast<std::int64_t>(rows_.size() - next_row_);
    const std::int64_t total = counts_.done + counts_.failed + counts_.given_up;
    if (total != static_cast<std::int64_t>(rows_.size())) {
      throw std::logic_error(fmt::format("{} done + {} failed + {} given up are not the {} rows",
                                         counts_.done, counts_.failed, counts_.given_up,
                                         rows_.size()));
    }
    return counts_;
  }

 private:
  BatchPointer next_batch(tbb::flow_control& control) {
    if (next_row_ == rows_.size() || closed_ || clock_.stopped()) {
      control.stop();
      return nullptr;
    }
    auto batch = std::make_shared<BatchInWork>();
    const auto size = static_cast<std::size_t>(options_.batch_size);
    const std::size_t into = static_cast<std::size_t>(rows_[next_row_].row) % size;
    const std::size_t end = std::min(rows_.size(), next_row_ + size - into);
    for (; next_row_ < end; ++next_row_) batch->rows.push_back({.request = &rows_[next_row_]});
    return batch;
  }

  BatchPointer decode(BatchPointer batch) {
    // Isolated: while it waits for the clips of this batch, the thread must not begin another
    // filter, which may wait for a device.
    tbb::this_task_arena::isolate([&] {
      tbb::parallel_for(std::size_t{0}, batch->rows.size(),
                        [&](std::size_t i) { decode_row(batch->rows[i]); });
    });
    return batch;
  }

  void decode_row(RowInWork& row) {
    decode_slots_.acquire();
    struct Release {
      std::counting_semaphore<>& slots;
      ~Release() { slots.release(); }
    } const release{decode_slots_};
    if (closed_ || clock_.is_over()) {
      row.given_up = true;
      return;
    }
    try {
      row.clips = decode_(*row.request);
    } catch (const DataError& error) {
      row.failure = decode_failure(*row.request, error);
    }
  }

  BatchPointer submit(BatchPointer batch) {
    auto clips = std::make_shared<std::vector<Clip>>();
    std::size_t outcomes = 0;
    for (RowInWork& row : batch->rows) {
      row.outcome = row.clips.empty() ? 0 : outcomes++;
      row.first_clip = clips->size();
      row.clip_count = row.clips.size();
      std::ranges::move(row.clips, std::back_inserter(*clips));
      row.clips.clear();
    }
    batch->clips = std::move(clips);
    if (batch->clips->empty()) return batch;
    if (closed_ || clock_.is_over()) {
      for (RowInWork& row : batch->rows) row.given_up = true;
    } else {
      batch->outcomes = pool_.submit(batch->clips);
    }
    return batch;
  }

  /// Waits for a batch, after a stop no longer than the grace.
  /// @return whether it is finished
  bool wait_for(const std::future<Outcomes>& outcomes) {
    while (outcomes.wait_for(kLook) != std::future_status::ready) {
      if (clock_.is_over()) return false;
    }
    return true;
  }

  void write(BatchInWork& batch) {
    // After a stop a batch is written whole or not at all, and none behind one that is not: what is
    // written is the beginning of the rows, and a run that goes on makes the same batches.
    if (!closed_ && batch.outcomes.valid() && !wait_for(batch.outcomes)) closed_ = true;
    if (closed_ || std::ranges::any_of(batch.rows, &RowInWork::given_up)) {
      closed_ = true;
      counts_.given_up += static_cast<std::int64_t>(batch.rows.size());
      return;
    }
    Outcomes outcomes;
    if (batch.outcomes.valid()) outcomes = batch.outcomes.get();
    for (RowInWork& row : batch.rows) {
      if (closed_) {
        ++counts_.given_up;
        continue;
      }
      RowOutcome outcome{.request = row.request, .failure = std::move(row.failure)};
      collect(row, batch, outcomes, outcome);
      ++(outcome.failure ? counts_.failed : counts_.done);
      if (!write_(std::move(outcome))) closed_ = true;
    }
  }

  static void collect(const RowInWork& row, const BatchInWork& batch, Outcomes& outcomes,
                      RowOutcome& outcome) {
    if (row.clip_count == 0) return;
    RowExplanation& explained = outcomes.at(row.outcome);
    if (auto* failure = std::get_if<Failure>(&explained)) {
      outcome.failure = std::move(*failure);
      return;
    }
    outcome.results = std::move(std::get<std::vector<ClipResult>>(explained));
    outcome.clips = std::span(*batch.clips).subspan(row.first_clip, row.clip_count);
  }

  std::span<const ClipRequest> rows_;
  const PipelineOptions& options_;
  const DecodeFunction& decode_;
  DevicePool& pool_;
  const WriteFunction& write_;
  StopClock clock_;
  std::counting_semaphore<> decode_slots_;
  std::size_t next_row_ = 0;          // of the first filter, which is serial
  PipelineCounts counts_;             // of the last filter, which is serial
  std::atomic<bool> closed_ = false;  // set by the last filter, read by all
};

}  // namespace

PipelineCounts run_batches(std::span<const ClipRequest> rows, const PipelineOptions& options,
                           const DecodeFunction& decode, DevicePool& pool,
                           const WriteFunction& write, const std::function<bool()>& stop) {
  return Pipeline(rows, options, decode, pool, write, stop).run();
}

}  // namespace cfp
