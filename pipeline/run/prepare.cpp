#include "pipeline/run/prepare.h"

#include <utility>

namespace cfp {
namespace {

/// Builds the network for the clips that it will get: some architectures depend on their size.
Network load_for_clips(ResolvedConfig& config, PreprocessOptions& preprocess) {
  NetworkOptions options = config.network;
  if (config.values.is_set("preprocess.preset")) {
    preprocess = resolve_preprocess(config.values, "");
    options.input_size = clip_size(config.sampling, preprocess);
    return load_network(options);
  }
  Network network = load_network(options);
  preprocess = resolve_preprocess(config.values, network.preset);
  options.input_size = clip_size(config.sampling, preprocess);
  const Triple usual = architecture_defaults(network.architecture).input_size;
  // Only now is it known which clips will come; where they are of another size, once more.
  return options.input_size && *options.input_size != usual ? load_network(options)
                                                            : std::move(network);
}

}  // namespace

std::optional<Triple> clip_size(const SamplingOptions& sampling,
                                const PreprocessOptions& preprocess) {
  const int side = preprocess.crop > 0                              ? preprocess.crop
                   : preprocess.resize_mode == ResizeMode::kExact ? preprocess.resize
                                                                   : 0;
  if (side == 0) return std::nullopt;
  return Triple{sampling.clip_len, side, side};
}

Prepared prepare(ResolvedConfig given) {
  Prepared prepared{.config = std::move(given)};
  ResolvedConfig& config = prepared.config;
  prepared.manifest = load_dataset(config.dataset);
  prepared.network = std::make_shared<const Network>(load_for_clips(config, prepared.preprocess));
  const Network& network = *prepared.network;
  prepared.labels = join_labels(prepared.manifest, network.class_names, network.num_classes());
  if (config.explain.target == TargetKind::kClass) {
    config.explain.target_class =
        find_target_class(config.target_class, prepared.labels.class_names, network.num_classes());
  }
  return prepared;
}

}  // namespace cfp
