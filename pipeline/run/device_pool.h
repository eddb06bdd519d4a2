// One thread a device replica, fed from one bounded queue.
//
//   DevicePool pool({{"cuda:0", explainer_worker(…)}, {"cuda:1", explainer_worker(…)}},
//                   {.queue_limit = 4, .batch_size = 8, .notice = warn});  // returns when all are
//                   ready
//   std::future<Outcomes> outcomes = pool.submit(clips);
//
// Knows nothing of networks: a worker is a function from clips to what became of their rows, made
// in its own thread.
#pragma once

#include <condition_variable>
#include <deque>
#include <exception>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "pipeline/run/device_batches.h"
#include "stages/core/clip.h"

namespace cfp {

using ClipBatch = std::shared_ptr<const std::vector<Clip>>;

/// Makes a worker's function, warmed up; called once, in the worker's thread.
using WorkerFactory = std::function<ExplainFunction()>;

struct DeviceWorker {
  std::string device;  ///< for messages
  WorkerFactory make;
};

struct PoolOptions {
  std::size_t queue_limit = 4;  ///< batches that may wait; submit() blocks beyond it
  std::size_t batch_size = 4;   ///< clips that a worker computes at once at most
  NoticeFunction notice = [](const DeviceNotice&) {};
};

/// Note [A device that fails]
/// One that is not there ends the run before it begins: it was asked for. One that is there and has
/// no room for the network, or fails as it starts, leaves the run to the others, with a notice; so
/// does one that is lost later (DeviceLost): its batch, of which nothing has been handed on, is
/// done again by another. When none is left, all batches end with a SystemError, and where none
/// could start, the constructor does. Anything else that a worker throws becomes the outcome of its
/// batch.
class DevicePool {
 public:
  /// Starts a thread a worker and waits until all are ready.
  /// @throws what the first failing factory throws; a SystemError names the device. DeviceLost and
  ///         DeviceOutOfMemory only where no device is left
  DevicePool(std::vector<DeviceWorker> workers, PoolOptions options);
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
  void work(const std::stop_token& stop, const DeviceWorker& worker, std::promise<void> ready);
  /// @return the next batch; nothing: the pool ends
  std::optional<Job> next_job(const std::stop_token& stop);
  /// Counts a device off.
  /// @return how many are left
  std::size_t count_off(const std::string& device, const DeviceError& error);
  /// Leaves a lost device's batch to the others.
  void lose(const std::string& device, Job job, const DeviceLost& error);
  /// Leaves the run to the others.
  void lose_at_start(const std::string& device, const DeviceError& error, std::promise<void> ready);

  PoolOptions options_;
  std::mutex mutex_;
  std::condition_variable_any has_job_, has_room_;
  std::deque<Job> queue_;
  std::size_t devices_left_;
  std::exception_ptr none_left_;       // set once no device is left
  std::vector<std::jthread> threads_;  // last: they end before what they use goes
};

}  // namespace cfp
