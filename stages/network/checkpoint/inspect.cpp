#include "stages/network/checkpoint/inspect.h"

#include <algorithm>
#include <filesystem>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "stages/core/preprocess.h"
#include "stages/network/checkpoint/network_metadata.h"
#include "stages/network/checkpoint/normalise.h"
#include "stages/network/checkpoint/safetensors.h"

namespace cfp {
namespace {

std::string grouped(std::int64_t number) {
  std::string digits = std::to_string(number);
  for (auto at = static_cast<std::ptrdiff_t>(digits.size()) - 3; at > 0; at -= 3) {
    digits.insert(static_cast<std::size_t>(at), 1, ',');
  }
  return digits;
}

/// Learned values: without the statistics of batch norms and the counters.
std::int64_t count_parameters(const Checkpoint& checkpoint) {
  std::int64_t total = 0;
  for (const StoredTensor& tensor : checkpoint.tensors) {
    const bool statistic = tensor.name.ends_with("running_mean") ||
                           tensor.name.ends_with("running_var") ||
                           tensor.name.ends_with("num_batches_tracked");
    std::int64_t sum = 0;
    if (!statistic && !__builtin_add_overflow(total, tensor.elements(), &sum)) total = sum;
  }
  return total;
}

std::string network_lines(const Checkpoint& checkpoint) {
  const std::optional<Appearance> appearance = look_at(tensor_specs(normalised(checkpoint)));
  if (!appearance) return "network     not recognised\n";
  std::string lines = fmt::format("network     {}\n", appearance->description);
  if (appearance->num_classes) lines += fmt::format("classes     {}\n", *appearance->num_classes);
  if (appearance->architecture.empty() || !appearance->num_classes) return lines;
  const std::string preset =
      guess_preset(checkpoint, appearance->architecture, *appearance->num_classes);
  lines +=
      fmt::format("preset      {}\n", preset.empty() ? "not known; set preprocess.preset" : preset);
  lines += fmt::format("config      network: {{type: {}, num_classes: {}, checkpoint: {}}}\n",
                       appearance->architecture, *appearance->num_classes, checkpoint.path);
  return lines;
}

std::string hint_lines(const Checkpoint& checkpoint) {
  std::string lines;
  const auto any = [&](auto predicate) {
    return std::ranges::any_of(checkpoint.tensors, predicate);
  };
  if (any([](const StoredTensor& t) { return t.name.starts_with("module."); })) {
    lines += "note        the prefix 'module.' (DataParallel) is stripped when loading\n";
  }
  if (any([](const StoredTensor& t) { return t.name.ends_with("num_batches_tracked"); })) {
    lines += "note        num_batches_tracked is not needed and ignored\n";
  }
  if (any([](const StoredTensor& t) {
        return t.dtype == DType::kFloat16 || t.dtype == DType::kBFloat16 ||
               t.dtype == DType::kFloat64;
      })) {
    lines += "note        weights are converted to float32 when loading\n";
  }
  return lines;
}

}  // namespace

std::string describe_checkpoint(const Checkpoint& checkpoint) {
  std::string text = fmt::format("file        {}\nformat      {}\ntensors     {}\nparameters  {}\n",
                                 checkpoint.path, checkpoint.format, checkpoint.tensors.size(),
                                 grouped(count_parameters(checkpoint)));
  text += network_lines(checkpoint);
  for (const auto& [key, value] : checkpoint.metadata) {
    text += fmt::format("metadata    {}: {}\n", printable(key), printable(value));
  }
  text += hint_lines(checkpoint);
  for (const StoredTensor& tensor : checkpoint.tensors) {
    text += fmt::format(
        "  {:<9} {:<20} {}\n", to_string(tensor.dtype),
        tensor.shape.empty() ? "scalar" : fmt::format("{}", fmt::join(tensor.shape, "x")),
        printable(tensor.name));
  }
  return text;
}

Network convert_checkpoint(const std::string& input, const std::string& output,
                           const ConvertOptions& options) {
  if (!options.preset.empty()) preprocess_preset(options.preset);
  Network network = load_network({.type = options.type,
                                  .num_classes = options.num_classes,
                                  .checkpoint = input,
                                  .class_names = options.class_names,
                                  .input_size = options.input_size,
                                  .overrides = options.overrides});
  if (!options.preset.empty()) network.preset = options.preset;

  const Checkpoint source = read_checkpoint(input);
  NetworkMetadata metadata = parse_metadata(source.metadata, input);
  metadata.architecture = network.architecture;
  metadata.preset = network.preset;
  metadata.class_names = network.class_names;
  metadata.overrides = merged(metadata.overrides, options.overrides);
  metadata.overrides.num_classes = network.num_classes();
  if (options.input_size) metadata.input_size = options.input_size;
  std::map<std::string, std::string> entries = metadata_entries(metadata);
  entries["source"] = std::filesystem::path(input).filename().string();
  entries["source_format"] = source.format;

  std::vector<NamedWeight> weights;
  for (const TensorSpec& spec : tensor_specs(network.graph)) {
    weights.push_back({spec.name, network.weights.find(spec.name)->second});
  }
  write_safetensors(output, weights, entries);
  return network;
}

}  // namespace cfp
