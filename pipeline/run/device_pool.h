// One thread a device replica, fed from one bounded queue.
//
//   DevicePool pool({explainer_worker(…), explainer_worker(…)}, 4);   // returns when all are ready
//   std::future<Outcomes> outcomes = pool.submit(clips);
//
// Knows nothing of networks: a worker is a function from clips to what became of their rows, made
// in its own thread.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <span>
#include <thread>
#include <vector>

#include "stages/core/clip.h"
#include "stages/pyramid/explainer.h"

namespace cfp {

using Outcomes = std::vector<RowExplanation>;
using ClipBatch = std::shared_ptr<const std::vector<Clip>>;

/// Clips of one size, whole rows whose views follow one another, to one outcome a row, in order.
using ExplainFunction = std::function<Outcomes(std::span<const Clip>)>;

/// Makes a worker's function, warmed up; called once, in the worker's thread.
using WorkerFactory = std::function<ExplainFunction()>;

class DevicePool {
 public:
  /// Starts a thread a factory and waits until all are ready.
  ///
  /// @param queue_limit  batches that may wait; submit() blocks beyond it
  /// @param batch_size   clips that one call of a worker's function gets at most, where no row has
  ///                     more
  /// @throws what the first failing factory throws
  DevicePool(std::vector<WorkerFactory> factories, std::size_t queue_limit, std::size_t batch_size);
  /// Ends the threads after the batches in work; waiting batches are given up.
  ~DevicePool();
  DevicePool(const DevicePool&) = delete;
  DevicePool& operator=(const DevicePool&) = delete;

  /// Hands in whole rows, whose views follow one another, and whose clips may differ in size.
  /// @return the outcomes in the rows' order, or what the worker's function threw
  std::future<Outcomes> submit(ClipBatch clips);

  std::size_t workers() const { return threads_.size(); }

 private:
  struct Job {
    ClipBatch clips;
    std::promise<Outcomes> outcomes;
  };
  void work(std::stop_token stop, const WorkerFactory& factory, std::promise<void> ready);

  std::size_t queue_limit_, batch_size_;
  std::mutex mutex_;
  std::condition_variable_any has_job_, has_room_;
  std::deque<Job> queue_;
  std::vector<std::jthread> threads_;  // last: they end before what they use goes
};

/// Calls `explain` on runs of whole rows of one size, at most `batch_size` clips at once; a row of
/// more views comes alone.
/// @return one outcome a row, in the rows' order
/// @throws std::logic_error `explain` gives another number of outcomes than it got rows
Outcomes explain_by_size(std::span<const Clip> clips, std::size_t batch_size,
                         const ExplainFunction& explain);

}  // namespace cfp
