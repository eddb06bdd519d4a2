#include "stages/pyramid/tubes.h"

#include <algorithm>
#include <stdexcept>

#include <ATen/TensorOperators.h>
#include <ATen/ops/from_blob.h>

namespace cfp {
namespace {

std::size_t index(std::int64_t i) { return static_cast<std::size_t>(i); }

/// @param values  [C, T, H, W] of one clip
/// @param weights by channel
Tube weighted_sum(const at::Tensor& values, std::vector<float> weights) {
  const at::Tensor weight =
      at::from_blob(weights.data(), {static_cast<std::int64_t>(weights.size())})
          .to(values.device(), values.scalar_type());
  const at::Tensor volume = values.permute({1, 2, 3, 0}).matmul(weight);
  const at::Tensor host = volume.to(at::kCPU, at::kFloat).contiguous();
  Tube tube{.length = host.size(0), .height = host.size(1), .width = host.size(2)};
  tube.values.assign(host.data_ptr<float>(), host.data_ptr<float>() + host.numel());
  const auto [low, high] = std::ranges::minmax(tube.values);
  tube.minimum = low;
  tube.maximum = high;
  return tube;
}

}  // namespace

std::vector<bool> values_of_tubes(const NetworkGraph& graph, const PyramidPlan& plan,
                                  TubeKind kind) {
  switch (kind) {
    case TubeKind::kNone:
      return std::vector<bool>(index(graph.size()), false);
    case TubeKind::kWeighted:
      return plan.wanted_tube;
    case TubeKind::kExcitation:
      return plan_walk(graph, plan.wanted_tube).keep;
  }
  throw std::logic_error("TubeKind out of range");
}

ExcitationTubes::ExcitationTubes(const PyramidPlan& plan, std::size_t clips)
    : plan_(plan), tubes_(clips, std::vector<Tube>(plan.layers.size())) {}

void ExcitationTubes::add(NodeId id, const at::Tensor& values, const Found& found_in) {
  for (std::size_t clip = 0; clip < tubes_.size(); ++clip) {
    for (std::size_t l = 0; l < plan_.layers.size(); ++l) {
      if (plan_.layers[l].tube != id) continue;
      const auto& found = found_in(clip, plan_.layers[l].entering).found;
      tubes_[clip][l] = weighted_sum(values[static_cast<std::int64_t>(clip)],
                                     std::vector<float>(found.begin(), found.end()));
    }
  }
}

std::vector<std::vector<std::vector<Tube>>> excitation_tubes(
    const Executor& executor, const Trace& trace, std::span<const int> classes,
    const BoundedInput& input, std::span<const TubeRequest> requests) {
  std::vector<bool> wanted(index(executor.graph().size()), false);
  std::vector<ExcitationTubes> tubes;
  for (const TubeRequest& request : requests) {
    tubes.emplace_back(*request.plan, classes.size());
    for (std::size_t id = 0; id < wanted.size(); ++id) {
      if (request.plan->wanted_tube[id]) wanted[id] = true;
    }
  }
  const auto add = [&](NodeId id, const at::Tensor& values) {
    for (std::size_t r = 0; r < tubes.size(); ++r) {
      tubes[r].add(
          id, values, [&](std::size_t clip, NodeId entering) -> const auto& {
            return *(*requests[r].relevance)[clip][index(entering)].value;
          });
    }
  };
  walk_excitation(executor, trace, classes, input, plan_walk(executor.graph(), wanted), {add});
  std::vector<std::vector<std::vector<Tube>>> all;
  for (ExcitationTubes& each : tubes) all.push_back(each.take());
  return all;
}

std::vector<std::vector<Tube>> weighted_tubes(
    const Trace& trace, const PyramidPlan& plan,
    const std::vector<std::vector<NodeRelevance>>& relevance) {
  std::vector<std::vector<Tube>> tubes(relevance.size());
  for (std::size_t clip = 0; clip < relevance.size(); ++clip) {
    for (const PyramidPlan::Layer& layer : plan.layers) {
      const ChannelRelevance& channels = *relevance[clip][index(layer.entering)].value;
      std::vector<float> weights(channels.channels());
      for (std::size_t c = 0; c < weights.size(); ++c) {
        weights[c] = channels.found[c] ? std::max(channels.score[c], 0.0F) : 0.0F;
      }
      tubes[clip].push_back(weighted_sum(
          trace.values[index(layer.tube)][static_cast<std::int64_t>(clip)].clamp_min(0),
          std::move(weights)));
    }
  }
  return tubes;
}

}  // namespace cfp
