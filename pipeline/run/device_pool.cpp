#include "pipeline/run/device_pool.h"

#include <stdexcept>
#include <utility>

#include <fmt/format.h>

namespace cfp {
namespace {

bool same_size(const Frames& a, const Frames& b) {
  return a.length == b.length && a.height == b.height && a.width == b.width;
}

}  // namespace

Outcomes explain_by_size(std::span<const Clip> clips, std::size_t batch_size,
                         const ExplainFunction& explain) {
  Outcomes all;
  while (!clips.empty()) {
    std::size_t count = first_row(clips).size(), rows = 1;
    while (count < clips.size() && same_size(clips[count].frames, clips[0].frames)) {
      const std::size_t views = first_row(clips.subspan(count)).size();
      if (count + views > batch_size) break;
      count += views;
      ++rows;
    }
    Outcomes some = explain(clips.first(count));
    if (some.size() != rows) {
      throw std::logic_error(fmt::format("{} outcomes for {} rows", some.size(), rows));
    }
    std::ranges::move(some, std::back_inserter(all));
    clips = clips.subspan(count);
  }
  return all;
}

DevicePool::DevicePool(std::vector<WorkerFactory> factories, std::size_t queue_limit,
                       std::size_t batch_size)
    : queue_limit_(queue_limit), batch_size_(batch_size) {
  std::vector<std::future<void>> ready;
  for (WorkerFactory& factory : factories) {
    std::promise<void> promise;
    ready.push_back(promise.get_future());
    threads_.emplace_back([this, make = std::move(factory),
                           promise = std::move(promise)](std::stop_token stop) mutable {
      work(std::move(stop), make, std::move(promise));
    });
  }
  for (std::future<void>& each : ready) each.get();
}

DevicePool::~DevicePool() {
  for (std::jthread& thread : threads_) thread.request_stop();
}

std::future<Outcomes> DevicePool::submit(ClipBatch clips) {
  Job job{.clips = std::move(clips)};
  std::future<Outcomes> outcomes = job.outcomes.get_future();
  {
    std::unique_lock lock(mutex_);
    has_room_.wait(lock, [&] { return queue_.size() < queue_limit_; });
    queue_.push_back(std::move(job));
  }
  has_job_.notify_one();
  return outcomes;
}

void DevicePool::work(std::stop_token stop, const WorkerFactory& factory,
                      std::promise<void> ready) {
  ExplainFunction explain;
  try {
    explain = factory();
    ready.set_value();
  } catch (...) {
    ready.set_exception(std::current_exception());
    return;
  }
  while (true) {
    Job job;
    {
      std::unique_lock lock(mutex_);
      if (!has_job_.wait(lock, stop, [&] { return !queue_.empty(); }) || stop.stop_requested()) {
        return;
      }
      job = std::move(queue_.front());
      queue_.pop_front();
    }
    has_room_.notify_one();
    try {
      job.outcomes.set_value(explain_by_size(*job.clips, batch_size_, explain));
    } catch (...) {
      job.outcomes.set_exception(std::current_exception());
    }
  }
}

}  // namespace cfp
