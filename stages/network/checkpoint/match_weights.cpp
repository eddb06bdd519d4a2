#include "stages/network/checkpoint/match_weights.h"

#include <algorithm>
#include <map>
#include <span>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "stages/core/errors.h"
#include "stages/core/formula.h"
#include "stages/network/checkpoint/normalise.h"

namespace cfp {
namespace {

std::string shape_text(const std::vector<std::int64_t>& shape) {
  return shape.empty() ? "a single number" : fmt::format("{}", fmt::join(shape, "x"));
}

/// One line of the report: how many, and the first eight.
std::string list_line(std::string_view title, const std::vector<std::string>& items) {
  constexpr std::size_t kShown = 8;
  if (items.empty()) return "";
  const std::span<const std::string> shown(items.data(), std::min(items.size(), kShown));
  return fmt::format("\n  {} ({}): {}{}", title, items.size(), fmt::join(shown, ", "),
                     items.size() > kShown ? ", ..." : "");
}

/// Public ResNets of 18 and 34 layers add shortcuts without weights (type A).
bool lacks_shortcuts(const std::vector<TensorSpec>& have, const std::vector<TensorSpec>& want) {
  const auto has_downsample = [](const std::vector<TensorSpec>& specs) {
    return std::ranges::any_of(
        specs, [](const TensorSpec& s) { return s.name.find(".downsample.") != s.name.npos; });
  };
  return !has_downsample(have) && has_downsample(want);
}

}  // namespace

WeightMismatch compare_weights(const Checkpoint& checkpoint, const NetworkGraph& graph) {
  std::map<std::string_view, const StoredTensor*> stored;
  for (const StoredTensor& tensor : checkpoint.tensors) stored.emplace(tensor.name, &tensor);
  WeightMismatch mismatch;
  for (const TensorSpec& spec : tensor_specs(graph)) {
    const auto found = stored.find(spec.name);
    if (found == stored.end()) {
      mismatch.missing.push_back(spec.name);
      continue;
    }
    if (found->second->shape != spec.shape) {
      mismatch.other_shape.push_back(fmt::format("{} is {}, the network has {}", spec.name,
                                                 shape_text(found->second->shape),
                                                 shape_text(spec.shape)));
    }
    stored.erase(found);
  }
  for (const StoredTensor& tensor : checkpoint.tensors) {
    if (stored.contains(tensor.name)) mismatch.unexpected.push_back(printable(tensor.name));
  }
  return mismatch;
}

std::string likely_cause(const Checkpoint& checkpoint, const NetworkGraph& graph) {
  const std::vector<TensorSpec> have = tensor_specs(checkpoint);
  const std::vector<TensorSpec> want = tensor_specs(graph);
  const std::optional<Appearance> is = look_at(have);
  const std::optional<Appearance> wanted = look_at(want);
  if (!is) return "the tensors are named like those of none of the networks known here";
  std::vector<std::string> causes;
  if (wanted && is->description != wanted->description) {
    causes.push_back(fmt::format("the checkpoint looks like {}, the config asks for {}",
                                 is->description, wanted->description));
  }
  if (lacks_shortcuts(have, want)) {
    causes.emplace_back(
        "the checkpoint has no downsample tensors: its shortcuts are of type A "
        "(without weights), while the network's are of type B");
  }
  if (is->num_classes && *is->num_classes != graph.channels(graph.output())) {
    causes.push_back(fmt::format("the checkpoint has {} classes, the config says {}",
                                 *is->num_classes, graph.channels(graph.output())));
  }
  return fmt::format("{}", fmt::join(causes, "; "));
}

Weights match_weights(const Checkpoint& checkpoint, const NetworkGraph& graph) {
  const Checkpoint renamed = normalised(checkpoint);
  const WeightMismatch mismatch = compare_weights(renamed, graph);
  if (!mismatch.empty()) {
    const std::string cause = likely_cause(renamed, graph);
    refuse_file(checkpoint.path, fmt::format("its tensors are not those of the network{}{}{}{}",
                                             list_line("missing", mismatch.missing),
                                             list_line("unexpected", mismatch.unexpected),
                                             list_line("of another shape", mismatch.other_shape),
                                             cause.empty() ? "" : "\n  likely cause: " + cause));
  }
  Weights weights;
  for (const StoredTensor& tensor : renamed.tensors) {
    weights.emplace(tensor.name, WeightTensor{tensor.shape, float_data(tensor, checkpoint.path)});
  }
  return weights;
}

std::uint64_t hash_weights(const Weights& weights) {
  std::uint64_t hash = fnv1a64("");
  for (const auto& [name, tensor] : weights) {
    hash = fnv1a64(name, hash);
    hash = fnv1a64(shape_text(tensor.shape), hash);
    hash = fnv1a64({reinterpret_cast<const char*>(tensor.data.get()),
                    static_cast<std::size_t>(tensor.elements()) * sizeof(float)},
                   hash);
  }
  return hash;
}

}  // namespace cfp
