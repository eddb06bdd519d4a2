#include "tests/unit/pyramid/test_networks.h"

#include <limits>
#include <map>
#include <numeric>

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/zeros_like.h>
#include <gtest/gtest.h>

#include "stages/core/formula.h"
#include "stages/network/builders.h"
#include "stages/network/random_weights.h"
#include "tests/support/random_graphs.h"

namespace cfp::test {
namespace {

/// The networks here are too small to share: threads that wait for one another cost more than they
/// do, most of all where other tests run beside.
class OneThread : public testing::Environment {
  void SetUp() override { at::set_num_threads(1); }
};
const testing::Environment* const kOneThread = testing::AddGlobalTestEnvironment(new OneThread);

struct Reduction {
  ArchitectureOverrides overrides;
  Triple clip_size;
};

ArchitectureOverrides reduced_resnet(std::vector<int> blocks) {
  return {.num_classes = 5, .blocks = std::move(blocks), .base_width = 4, .stem_channels = 6};
}

ArchitectureOverrides reduced_resnext() {
  ArchitectureOverrides overrides = reduced_resnet({1, 2, 1, 1});
  overrides.base_width = 8;
  overrides.groups = 4;
  return overrides;
}

const std::map<std::string_view, Reduction>& reductions() {
  static const std::map<std::string_view, Reduction> all{
      {"mfnet3d",
       {{.num_classes = 5,
         .blocks = {{2, 1, 2}},
         .base_width = 8,
         .groups = 4,
         .stem_channels = 4,
         .final_pool = Triple{2, 2, 2}},
        {4, 32, 32}}},
      // 17 frames leave 3 positions in time: the windows of the last average overlap.
      {"i3d",
       {{.num_classes = 5, .blocks = {{2, 1, 2}}, .base_width = 8, .final_pool = Triple{2, 1, 1}},
        {17, 32, 32}}},
      {"resnet50_3d", {reduced_resnet({1, 2, 1, 1}), {8, 24, 26}}},
      {"resnet101_3d", {reduced_resnet({1, 1, 3, 1}), {7, 25, 24}}},
      {"resnet152_3d", {reduced_resnet({2, 1, 2, 2}), {8, 24, 24}}},
      {"resnext101_3d", {reduced_resnext(), {8, 24, 24}}},
  };
  return all;
}

TestNetwork build(std::string_view name, const Reduction& reduction, std::uint64_t seed) {
  TestNetwork result{.clip_size = reduction.clip_size};
  result.network.architecture = name;
  result.network.graph = build_architecture(name, reduction.overrides, reduction.clip_size);
  result.network.weights = formula_weights(result.network.graph, seed);
  return result;
}

}  // namespace

TestNetwork reduced_architecture(std::string_view name, std::uint64_t seed) {
  return build(name, reductions().at(name), seed);
}

TestNetwork full_architecture(std::string_view name) {
  Reduction reduction{{}, {4, 40, 40}};
  if (name == "mfnet3d") reduction = {{.final_pool = Triple{2, 2, 2}}, {4, 64, 64}};
  if (name == "i3d") reduction = {{.final_pool = Triple{1, 2, 2}}, {9, 64, 64}};
  return build(name, reduction, 1);
}

TestNetwork random_network(std::uint64_t seed) {
  TestNetwork result{.clip_size = random_clip_size(seed)};
  result.network.architecture = "random";
  result.network.graph = random_graph(seed);
  result.network.weights = formula_weights(result.network.graph, seed);
  return result;
}

at::Tensor formula_clips(const Triple& size, int batch, std::uint64_t seed) {
  std::vector<at::Tensor> clips;
  for (int clip = 0; clip < batch; ++clip) {
    std::vector<float> values = formula_input(size, seed * 100 + static_cast<std::uint64_t>(clip));
    clips.push_back(at::from_blob(values.data(), {1, 3, size[0], size[1], size[2]}).clone());
  }
  return at::cat(clips);
}

Clip formula_frames(const Triple& size, std::uint64_t seed, std::int64_t row) {
  Clip clip;
  clip.request.row = row;
  clip.request.clip_id = "clip " + std::to_string(row);
  clip.frames = {.length = size[0], .height = size[1], .width = size[2]};
  const FormulaStream stream(seed, "frames");
  clip.frames.rgb_thwc.resize(static_cast<std::size_t>(size[0]) * size[1] * size[2] * 3);
  for (std::size_t i = 0; i < clip.frames.rgb_thwc.size(); ++i) {
    clip.frames.rgb_thwc[i] = static_cast<std::uint8_t>(stream.bits(i) & 255);
  }
  return clip;
}

at::Tensor target_weights(const at::Tensor& logits, int class_index, bool margin) {
  at::Tensor weights = at::zeros_like(logits);
  if (margin) {
    at::Tensor others = logits.clone();
    others.select(1, class_index).fill_(-std::numeric_limits<double>::infinity());
    weights = -at::softmax(others, 1);
  }
  weights.select(1, class_index).fill_(1);
  return weights;
}

FullWalk walk_everything(const Executor& executor, const at::Tensor& clips, int class_index,
                         bool margin) {
  const std::size_t nodes = at_node(executor.graph().size());
  FullWalk walk;
  walk.trace = executor.forward(clips, true);
  walk.weights = target_weights(walk.trace.logits, class_index, margin);
  walk.nodes.resize(nodes);
  const WalkPlan plan = plan_walk(executor.graph(), std::vector<bool>(nodes, true));
  walk_gradient(executor, walk.trace, walk.weights, plan,
                [&](NodeId id, const OutputGradient& found) {
                  walk.nodes[at_node(id)] = found;
                  walk.nodes[at_node(id)].gradient = found.gradient.clone();
                });
  return walk;
}

std::vector<std::int64_t> all_of(std::int64_t n) {
  std::vector<std::int64_t> all(static_cast<std::size_t>(n));
  std::iota(all.begin(), all.end(), 0);
  return all;
}

EdgeInput everything_of(const Executor& executor, const FullWalk& walk, NodeId layer,
                        std::int64_t clip) {
  const NodeId entering = executor.graph().node(layer).inputs[0];
  EdgeInput input;
  input.kernels = all_of(executor.graph().channels(layer));
  input.channels = all_of(executor.graph().channels(entering));
  input.gradient = gather_channels(walk.nodes[at_node(layer)].gradient, clip, input.kernels);
  input.entering = walk.trace.values[at_node(entering)].narrow(0, clip, 1);
  return input;
}

}  // namespace cfp::test
