#include "pipeline/run/replicas.h"

#include <algorithm>
#include <exception>
#include <map>
#include <memory>
#include <utility>

#include "pipeline/run/environment.h"
#include "stages/core/errors.h"
#include "stages/pyramid/explainer.h"

namespace cfp {
namespace {

int threads_of_replica(const RuntimeOptions& runtime, const std::vector<std::string>& devices) {
  if (runtime.threads_per_device > 0) return runtime.threads_per_device;
  const auto replicas = std::max<std::ptrdiff_t>(1, std::ranges::count(devices, "cpu"));
  return std::max(1, describe_machine().processors / static_cast<int>(replicas));
}

}  // namespace

std::vector<std::string> devices_of(const RuntimeOptions& runtime) {
  return runtime.devices.empty() ? available_devices() : runtime.devices;
}

PipelineOptions pipeline_options(const RuntimeOptions& runtime) {
  return {.batch_size = runtime.batch_size,
          .decode_workers =
              runtime.decode_workers > 0 ? runtime.decode_workers : describe_machine().processors,
          .max_batches_in_flight = runtime.max_batches_in_flight,
          .grace = std::chrono::duration<double>(runtime.grace_s)};
}

PoolOptions pool_options(const RuntimeOptions& runtime, NoticeFunction notice) {
  return {.queue_limit = static_cast<std::size_t>(runtime.max_batches_in_flight),
          .batch_size = static_cast<std::size_t>(runtime.batch_size),
          .notice = std::move(notice)};
}

std::vector<DeviceWorker> device_workers(const Prepared& prepared,
                                         const std::vector<ExplainOptions>& asked,
                                         const std::vector<std::string>& devices) {
  const ResolvedConfig& config = prepared.config;
  const int threads = threads_of_replica(config.runtime, devices);
  const std::optional<Triple> size = clip_size(config.sampling, prepared.preprocess);
  std::map<std::string, std::shared_ptr<Explainer>> first_on_device;
  std::vector<DeviceWorker> workers;
  for (const std::string& device : devices) {
    std::shared_ptr<Explainer>& first = first_on_device[device];
    std::shared_ptr<Explainer> explainer;
    std::exception_ptr failed;  // the pool decides what becomes of the run
    try {
      explainer =
          first ? std::make_shared<Explainer>(first->replica())
                : std::make_shared<Explainer>(prepared.network, prepared.preprocess, asked,
                                              DeviceOptions{.device = device, .threads = threads});
      if (!first) first = explainer;
    } catch (const DeviceError&) {
      failed = std::current_exception();
    }
    const auto make = [explainer, failed, size]() -> ExplainFunction {
      if (failed) std::rethrow_exception(failed);
      // Where the size depends on the video, the first clip warms up.
      if (size) explainer->warm_up((*size)[0], (*size)[1], (*size)[2]);
      return [explainer](std::span<const Clip> clips, std::size_t batch_size) {
        return explainer->explain_rows(clips, batch_size);
      };
    };
    workers.push_back({device, make});
  }
  return workers;
}

}  // namespace cfp
