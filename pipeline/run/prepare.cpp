#include "pipeline/run/prepare.h"

#include <utility>

#include <fmt/format.h>

#include "stages/core/errors.h"
#include "stages/network/exported/load_exported.h"

namespace cfp {
namespace {

/// Does something for a section of the config; says of its errors where the section stands.
/// @param key  a key of the section that was surely written
template <class Action>
auto for_section(const ConfigValues& values, std::string_view key, Action&& action) {
  try {
    return action();
  } catch (const ConfigError& error) {
    throw ConfigError(
        fmt::format("{}: {}: {}", values.origin(key), section_name(key), error.what()));
  }
}

/// The key that says where the clips are.
std::string_view dataset_key(const ConfigValues& values) {
  for (const std::string_view key : {"dataset.file", "dataset.data_root"}) {
    if (values.is_set(key)) return key;
  }
  return "dataset.type";
}

}  // namespace

Network load_for_clips(ResolvedConfig& config, PreprocessOptions& preprocess) {
  NetworkOptions options = config.network;
  const auto load = [&] {
    const char* key = options.type == kExportedType ? "network.file" : "network.checkpoint";
    return for_section(config.values, key, [&] { return load_any_network(options); });
  };
  if (config.values.is_set("preprocess.preset")) {
    preprocess = resolve_preprocess(config.values, "");
    options.input_size = clip_size(config.sampling, preprocess);
    return load();
  }
  Network network = load();
  preprocess = resolve_preprocess(config.values, network.preset);
  options.input_size = clip_size(config.sampling, preprocess);
  // Only now is it known which clips will come; the graph was built for those of the checkpoint.
  return options.input_size ? load() : std::move(network);
}

std::optional<Triple> clip_size(const SamplingOptions& sampling,
                                const PreprocessOptions& preprocess) {
  const int side = preprocess.crop > 0                            ? preprocess.crop
                   : preprocess.resize_mode == ResizeMode::kExact ? preprocess.resize
                                                                  : 0;
  if (side == 0) return std::nullopt;
  return Triple{sampling.clip_len, side, side};
}

Prepared prepare(ResolvedConfig given) {
  Prepared prepared{.config = std::move(given)};
  ResolvedConfig& config = prepared.config;
  prepared.manifest = for_section(config.values, dataset_key(config.values),
                                  [&] { return load_dataset(config.dataset); });
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
