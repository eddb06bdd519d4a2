#include "pipeline/run/device_pool.h"

#include <utility>

#include <fmt/format.h>

#include "stages/core/errors.h"

namespace cfp {

DevicePool::DevicePool(std::vector<DeviceWorker> workers, PoolOptions options)
    : options_(std::move(options)), devices_left_(workers.size()) {
  std::vector<std::future<void>> ready;
  for (DeviceWorker& worker : workers) {
    std::promise<void> promise;
    ready.push_back(promise.get_future());
    threads_.emplace_back([this, worker = std::move(worker),
                           promise = std::move(promise)](const std::stop_token& stop) mutable {
      work(stop, worker, std::move(promise));
    });
  }
  for (std::future<void>& each : ready) each.get();
  const std::lock_guard lock(mutex_);
  if (none_left_) std::rethrow_exception(none_left_);
}

DevicePool::~DevicePool() {
  for (std::jthread& thread : threads_) thread.request_stop();
}

std::future<Outcomes> DevicePool::submit(ClipBatch clips) {
  Job job{.clips = std::move(clips)};
  std::future<Outcomes> outcomes = job.outcomes.get_future();
  {
    std::unique_lock lock(mutex_);
    has_room_.wait(lock, [&] { return none_left_ || queue_.size() < options_.queue_limit; });
    if (none_left_) {
      job.outcomes.set_exception(none_left_);
      return outcomes;
    }
    queue_.push_back(std::move(job));
  }
  has_job_.notify_one();
  return outcomes;
}

std::optional<DevicePool::Job> DevicePool::next_job(const std::stop_token& stop) {
  std::optional<Job> job;
  {
    std::unique_lock lock(mutex_);
    if (!has_job_.wait(lock, stop, [&] { return !queue_.empty(); }) || stop.stop_requested()) {
      return job;
    }
    job = std::move(queue_.front());
    queue_.pop_front();
  }
  has_room_.notify_one();
  return job;
}

void DevicePool::work(const std::stop_token& stop, const DeviceWorker& worker,
                      std::promise<void> ready) {
  std::optional<DeviceBatches> explain;
  try {
    explain.emplace(worker.device, worker.make(), options_.batch_size, options_.notice);
    ready.set_value();
  } catch (const DeviceError& error) {
    return lose_at_start(worker.device, error, std::move(ready));
  } catch (const SystemError& error) {
    ready.set_exception(std::make_exception_ptr(
        SystemError(fmt::format("{} cannot start: {}", worker.device, error.what()))));
    return;
  } catch (...) {
    ready.set_exception(std::current_exception());
    return;
  }
  while (std::optional<Job> job = next_job(stop)) {
    try {
      job->outcomes.set_value((*explain)(*job->clips));
    } catch (const DeviceLost& error) {
      return lose(worker.device, std::move(*job), error);
    } catch (...) {
      job->outcomes.set_exception(std::current_exception());
    }
  }
}

std::size_t DevicePool::count_off(const std::string& device, const DeviceError& error) {
  std::deque<Job> hopeless;
  std::size_t left = 0;
  {
    const std::lock_guard lock(mutex_);
    left = --devices_left_;
    if (left == 0) {
      none_left_ = std::make_exception_ptr(SystemError(
          fmt::format("no device is left; the last one, {}, was lost: {}", device, error.what())));
      hopeless.swap(queue_);
    }
  }
  has_room_.notify_all();
  for (Job& waiting : hopeless) waiting.outcomes.set_exception(none_left_);
  return left;
}

void DevicePool::lose_at_start(const std::string& device, const DeviceError& error,
                               std::promise<void> ready) {
  const std::size_t left = count_off(device, error);
  try {
    if (left > 0) {
      options_.notice({.kind = DeviceNotice::Kind::kNotStarted,
                       .device = device,
                       .devices_left = left,
                       .reason = error.what()});
    }
    ready.set_value();
  } catch (...) {
    ready.set_exception(std::current_exception());
  }
}

void DevicePool::lose(const std::string& device, Job job, const DeviceLost& error) {
  const std::size_t left = count_off(device, error);
  if (left == 0) {
    job.outcomes.set_exception(none_left_);
    return;
  }
  try {
    options_.notice({.kind = DeviceNotice::Kind::kLost,
                     .device = device,
                     .devices_left = left,
                     .reason = error.what()});
  } catch (...) {
    job.outcomes.set_exception(std::current_exception());
    return;
  }
  {
    const std::lock_guard lock(mutex_);
    if (none_left_) {  // the others were lost in the meantime
      job.outcomes.set_exception(none_left_);
      return;
    }
    queue_.push_front(std::move(job));
  }
  has_job_.notify_one();
}

}  // namespace cfp
