#include "pipeline/run/prepare.h"

#include <utility>

#include <fmt/format.h>

#include "datasets/class_names.h"
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
  for (const std::string_view key : {"dataset.file", "dataset.annotations", "dataset.data_root"}) {
    if (values.is_set(key)) return key;
  }
  return "dataset.type";
}

/// Does what `network.class_names: dataset` says. Of a data set that has numbers alone the network
/// keeps the names that its checkpoint brings, which then are those of the numbers.
void take_names_of(const Manifest& manifest, const ConfigValues& values, Network& network) {
  if (manifest.class_names.empty()) return;
  const auto classes = static_cast<std::int64_t>(manifest.class_names.size());
  if (classes != network.num_classes()) {
    values.fail("network.class_names",
                fmt::format("the data set has {} class names, the network {} outputs", classes,
                            network.num_classes()));
  }
  network.class_names = manifest.class_names;
}

/// Says which output of the network a target class is that the config names.
void find_target(Prepared& prepared) {
  ResolvedConfig& config = prepared.config;
  if (config.explain.target != TargetKind::kClass) return;
  config.explain.target_class = find_target_class(config.target_class, prepared.labels->class_names,
                                                  prepared.network->num_classes());
}

}  // namespace

Network load_for_clips(ResolvedConfig& config, PreprocessOptions& preprocess) {
  NetworkOptions options = config.network;
  if (const std::string& file = config.network_class_names;
      !file.empty() && file != kDataSetsNames) {
    options.class_names =
        for_section(config.values, "network.class_names", [&] { return read_class_list(file); });
  }
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

Manifest load_manifest_of(const ResolvedConfig& config) {
  return for_section(config.values, dataset_key(config.values),
                     [&] { return load_dataset(config.dataset); });
}

Prepared prepare(ResolvedConfig given) {
  Manifest manifest = load_manifest_of(given);
  return prepare(std::move(given), std::move(manifest));
}

Prepared prepare(ResolvedConfig given, Manifest manifest) {
  Prepared prepared{.config = std::move(given),
                    .manifest = std::make_shared<const Manifest>(std::move(manifest))};
  ResolvedConfig& config = prepared.config;
  Network network = load_for_clips(config, prepared.preprocess);
  const bool states_order = config.network_class_names == kDataSetsNames;
  if (states_order) take_names_of(*prepared.manifest, config.values, network);
  prepared.labels = std::make_shared<const LabelJoin>(
      join_labels(*prepared.manifest, network.class_names, network.num_classes(),
                  states_order || network.random_weights));
  prepared.network = std::make_shared<const Network>(std::move(network));
  find_target(prepared);
  return prepared;
}

Prepared prepare_like(const Prepared& other, ResolvedConfig given) {
  Prepared prepared = other;
  prepared.config = std::move(given);
  prepared.preprocess = resolve_preprocess(prepared.config.values, prepared.network->preset);
  find_target(prepared);
  return prepared;
}

}  // namespace cfp
