// What a config says of devices and threads, as the pool and the pipeline take it.
#pragma once

#include <string>
#include <vector>

#include "pipeline/run/batch_pipeline.h"
#include "pipeline/run/prepare.h"

namespace cfp {

/// @return one entry a replica
std::vector<std::string> devices_of(const RuntimeOptions& runtime);

PipelineOptions pipeline_options(const RuntimeOptions& runtime);

/// @param notice  see PoolOptions
PoolOptions pool_options(const RuntimeOptions& runtime, NoticeFunction notice);

/// One worker a device; replicas on one device share the weights of the first.
/// @param asked  what is explained of each clip, all of one forward pass
/// @throws ConfigError, SystemError as Explainer's constructor
std::vector<DeviceWorker> device_workers(const Prepared& prepared,
                                         const std::vector<ExplainOptions>& asked,
                                         const std::vector<std::string>& devices);

}  // namespace cfp
