// Everything that can be found out before work starts, for `cfp run` and `cfp check` alike.
#pragma once

#include <memory>

#include "pipeline/config/options.h"
#include "pipeline/run/labels.h"
#include "stages/network/network.h"

namespace cfp {

/// What a run works with. The config has been completed by what the checkpoint says.
struct Prepared {
  ResolvedConfig config;
  std::shared_ptr<const Manifest> manifest;
  std::shared_ptr<const Network> network;
  PreprocessOptions preprocess;
  std::shared_ptr<const LabelJoin> labels;
};

/// Loads the network of a config, built for the clips that it will get: some architectures depend
/// on their size.
///
/// @param config      gets the steps of preprocessing that it leaves open
/// @param preprocess  is set
/// @throws ConfigError, SystemError as load_network(), resolve_preprocess()
Network load_for_clips(ResolvedConfig& config, PreprocessOptions& preprocess);

/// Finds the clips of a config's data set.
/// @throws ConfigError, SystemError as load_dataset(), with where the section stands
Manifest load_manifest_of(const ResolvedConfig& config);

/// Loads data set and network, and joins them.
/// @throws ConfigError, SystemError as load_dataset(), load_network(), resolve_preprocess(),
///         join_labels()
Prepared prepare(ResolvedConfig given);

/// The same for clips that were found already.
Prepared prepare(ResolvedConfig given, Manifest manifest);

/// The same for a config that differs from another's in its explain section alone: shares what was
/// loaded.
/// @throws ConfigError there is no such target class
Prepared prepare_like(const Prepared& other, ResolvedConfig given);

/// @return [T, H, W] of the clips that preprocessing gives; absent where it depends on the video
std::optional<Triple> clip_size(const SamplingOptions& sampling,
                                const PreprocessOptions& preprocess);

}  // namespace cfp
