#include "stages/pyramid/tubes.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/from_blob.h>

#include <algorithm>

namespace cfp {
namespace {

std::size_t index(std::int64_t i) { return static_cast<std::size_t>(i); }

/// @param relevance [C, T, H, W] of one clip
Tube sum_found(const at::Tensor& relevance, const ChannelRelevance& channels) {
  std::vector<float> weights(channels.found.begin(), channels.found.end());
  const at::Tensor weight = at::from_blob(weights.data(), {static_cast<std::int64_t>(weights.size())})
                                .to(relevance.device(), relevance.scalar_type());
  const at::Tensor volume = relevance.permute({1, 2, 3, 0}).matmul(weight);
  const at::Tensor host = volume.to(at::kCPU, at::kFloat).contiguous();
  Tube tube{.length = host.size(0), .height = host.size(1), .width = host.size(2)};
  tube.values.assign(host.data_ptr<float>(), host.data_ptr<float>() + host.numel());
  const auto [low, high] = std::ranges::minmax(tube.values);
  tube.minimum = low;
  tube.maximum = high;
  return tube;
}

}  // namespace

std::vector<std::vector<Tube>> excitation_tubes(
    const Executor& executor, const Trace& trace, std::span<const int> classes,
    const BoundedInput& input, const PyramidPlan& plan,
    const std::vector<std::vector<NodeRelevance>>& relevance) {
  std::vector<std::vector<Tube>> tubes(classes.size(), std::vector<Tube>(plan.layers.size()));
  const WalkPlan walk = plan_walk(executor.graph(), plan.wanted_tube);
  walk_excitation(
      executor, trace, classes, input, walk, [&](NodeId id, const at::Tensor& values) {
        for (std::size_t clip = 0; clip < classes.size(); ++clip) {
          for (std::size_t l = 0; l < plan.layers.size(); ++l) {
            if (plan.layers[l].tube != id) continue;
            const auto& channels = *relevance[clip][index(plan.layers[l].entering)].value;
            tubes[clip][l] = sum_found(values[static_cast<std::int64_t>(clip)], channels);
          }
        }
      });
  return tubes;
}

}  // namespace cfp
