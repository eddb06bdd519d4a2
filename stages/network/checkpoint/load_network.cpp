#include "stages/network/checkpoint/load_network.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "stages/core/errors.h"
#include "stages/network/checkpoint/match_weights.h"
#include "stages/network/checkpoint/network_metadata.h"
#include "stages/network/checkpoint/normalise.h"
#include "stages/network/random_weights.h"

namespace cfp {
namespace {

/// The architecture that is asked for, else the one that the file names, else what it looks like.
std::string choose_architecture(const NetworkOptions& options, const NetworkMetadata& metadata,
                                const std::optional<Appearance>& appearance) {
  const std::string& named = metadata.architecture;
  if (!options.type.empty()) {
    architecture_defaults(options.type);  // refuses an unknown one before the checkpoint is blamed
    if (!named.empty() && named != options.type) {
      refuse_file(options.checkpoint,
                  fmt::format("is a {}, the config asks for {}", printable(named), options.type));
    }
    return options.type;
  }
  if (!named.empty()) {
    const std::vector<std::string> known = architecture_names();
    if (std::ranges::find(known, named) == known.end()) {
      refuse_file(options.checkpoint,
                  fmt::format("names an architecture '{}' that is not known", printable(named)));
    }
    return named;
  }
  if (appearance && !appearance->architecture.empty()) return appearance->architecture;
  throw ConfigError(fmt::format(
      "network.type is needed: '{}' does not say of which network it is{}", options.checkpoint,
      appearance ? " and looks like " + appearance->description : ""));
}

void check_class_count(const Network& network, std::string_view source) {
  if (network.class_names.empty() ||
      network.class_names.size() == static_cast<std::size_t>(network.num_classes())) {
    return;
  }
  throw ConfigError(fmt::format("{}: {} class names for a network of {} classes", source,
                                network.class_names.size(), network.num_classes()));
}

Network random_network(const NetworkOptions& options) {
  if (options.type.empty()) {
    throw ConfigError("network.type is needed: with `checkpoint: random` nothing else tells it");
  }
  const ArchitectureDefaults defaults = architecture_defaults(options.type);
  ArchitectureOverrides overrides = options.overrides;
  if (options.num_classes) overrides.num_classes = options.num_classes;
  Network network;
  network.architecture = options.type;
  network.preset = defaults.preset;
  network.random_weights = true;
  network.graph =
      build_architecture(options.type, overrides, options.input_size.value_or(defaults.input_size));
  network.weights = formula_weights(network.graph, options.seed);
  return network;
}

Network stored_network(const NetworkOptions& options) {
  const Checkpoint raw = read_checkpoint(options.checkpoint);
  const Checkpoint checkpoint = normalised(raw);
  const NetworkMetadata metadata = parse_metadata(checkpoint.metadata, checkpoint.path);
  const std::optional<Appearance> appearance = look_at(tensor_specs(checkpoint));
  Network network;
  network.architecture = choose_architecture(options, metadata, appearance);
  network.class_names = metadata.class_names;

  ArchitectureOverrides overrides = merged(metadata.overrides, options.overrides);
  if (options.num_classes) overrides.num_classes = options.num_classes;
  if (!overrides.num_classes && appearance) overrides.num_classes = appearance->num_classes;
  const Triple default_size = architecture_defaults(network.architecture).input_size;
  network.graph =
      build_architecture(network.architecture, overrides,
                         options.input_size.value_or(metadata.input_size.value_or(default_size)));
  network.weights = match_weights(checkpoint, network.graph);
  network.preset = metadata.preset.empty()
                       ? guess_preset(raw, network.architecture, network.num_classes())
                       : metadata.preset;
  return network;
}

}  // namespace

Network load_network(const NetworkOptions& options) {
  Network network =
      options.checkpoint == kRandomCheckpoint ? random_network(options) : stored_network(options);
  std::string source = options.checkpoint;
  if (!options.class_names.empty()) {
    network.class_names = options.class_names;
    source = "network.class_names";
  }
  check_class_count(network, source);
  network.weights_hash = hash_weights(network.weights);
  return network;
}

std::string guess_preset(const Checkpoint& checkpoint, std::string_view architecture,
                         int num_classes) {
  const std::string preset = architecture_defaults(architecture).preset;
  if (!architecture.starts_with("resnet")) return preset;
  // The ResNets were trained twice, in 2017/18 on Kinetics-400 and in 2020 on Kinetics-700, Moments
  // in Time, STAIR-Actions and mixtures of them, with other scaling and the same tensors.
  constexpr std::array<int, 6> kClasses2020{339, 439, 700, 800, 1039, 1139};
  if (std::ranges::find(kClasses2020, num_classes) != kClasses2020.end()) return "kenshohara2020";
  // PyTorch counts batches since 0.4.1, which is younger than the first files.
  const bool counts_batches = std::ranges::any_of(checkpoint.tensors, [](const StoredTensor& t) {
    return t.name.ends_with("num_batches_tracked");
  });
  return num_classes == 400 || !counts_batches ? preset : "";
}

}  // namespace cfp
