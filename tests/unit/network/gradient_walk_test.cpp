// The gradient at every node of random networks, and P and N of what was added up there, against
// LibTorch's autograd over the reference network.
#include <ATen/TensorOperators.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <gtest/gtest.h>

#include "stages/network/passes.h"
#include "stages/network/random_weights.h"
#include "stages/network/walks.h"
#include "tests/support/random_graphs.h"
#include "tests/unit/network/reference_network.h"
#include "tests/unit/network/tensor_helpers.h"

namespace cfp::test {
namespace {

constexpr std::uint64_t kSeeds = 40;
constexpr int kBatch = 2;
// Float64: the order of sums, and cancellation between the paths that meet at a node.
constexpr double kTolerance = 1e-10;

std::string trace_of(std::uint64_t seed, const NetworkGraph& graph) {
  return "seed " + std::to_string(seed) + "\n" + describe(graph);
}

/// What a walk visited, by node; gradients copied, because they live until the visit ends.
std::vector<OutputGradient> walk(const Executor& executor, const at::Tensor& clips,
                                 const at::Tensor& weights, const std::vector<bool>& wanted) {
  const WalkPlan plan = plan_walk(executor.graph(), wanted);
  const Trace trace = executor.forward(clips, {plan.keep, {}});
  std::vector<OutputGradient> visited(wanted.size());
  walk_gradient(executor, trace, weights, plan, [&](NodeId id, const OutputGradient& output) {
    OutputGradient& slot = visited.at(static_cast<std::size_t>(id));
    EXPECT_FALSE(slot.gradient.defined()) << "node " << id << " was visited twice";
    slot = output;
    slot.gradient = output.gradient.clone();
  });
  return visited;
}

void expect_sums(const ChannelSums& actual, const at::Tensor& g, const at::Tensor& x) {
  const at::Tensor product = (g * x).detach();
  const at::Tensor zero = at::zeros_like(product);
  EXPECT_TRUE(
      close_to(actual.positive, at::where(product > 0, product, zero).sum({2, 3, 4}), kTolerance));
  EXPECT_TRUE(
      close_to(actual.negative, at::where(product < 0, -product, zero).sum({2, 3, 4}), kTolerance));
}

/// One-hot rows that differ from clip to clip.
at::Tensor one_hot(std::uint64_t seed, std::int64_t classes) {
  at::Tensor weights = at::zeros({kBatch, classes}, at::kDouble);
  for (std::int64_t b = 0; b < kBatch; ++b) {
    weights[b][(static_cast<std::int64_t>(seed) + b) % classes] = 1;
  }
  return weights;
}

/// The margin's linear form: 1 for the class, minus softmax over the others, which sum to -1.
at::Tensor margin(const at::Tensor& chosen, const at::Tensor& logits) {
  const at::Tensor others =
      at::where(chosen > 0, at::zeros_like(chosen), logits.to(at::kDouble).exp());
  return chosen - others / others.sum(1, true);
}

/// Walks one network with every node wanted and compares all that is visited.
void check(const Network& network, const at::Tensor& clips, bool optimise, bool with_margin,
           std::uint64_t seed) {
  const Executor executor(network, {.dtype = at::kDouble, .optimise = optimise});
  const Network prepared = optimise ? cfp::optimise(network) : network;
  ASSERT_EQ(prepared.graph, executor.graph());
  SCOPED_TRACE(trace_of(seed, prepared.graph));
  const auto reference = run_reference(prepared.graph, prepared.weights, clips);
  const at::Tensor logits = reference.back().value.flatten(1);
  at::Tensor weights = one_hot(seed, logits.size(1));
  if (with_margin) weights = margin(weights, logits.detach());

  const auto visited = walk(executor, clips, weights, std::vector<bool>(reference.size(), true));
  const std::vector<bool> routed = routed_nodes(prepared.graph);
  for (std::size_t id = 0; id < reference.size(); ++id) {
    SCOPED_TRACE(prepared.graph.nodes()[id].name);
    const ReferenceNode& node = reference[id];
    const OutputGradient& output = visited[id];
    if (!routed[id]) {
      EXPECT_FALSE(output.gradient.defined()) << "it only feeds a gate";
      continue;
    }
    ASSERT_TRUE(output.gradient.defined());
    const at::Tensor g = reference_gradient(logits, node.sum, weights);
    EXPECT_TRUE(close_to(output.gradient, g, kTolerance));
    expect_sums(output.value, g, node.value);
    expect_sums(output.kernels, g, node.second.defined() ? node.first : node.value);
    ASSERT_EQ(output.addend.positive.defined(), node.second.defined());
    if (node.second.defined()) expect_sums(output.addend, g, node.second);
  }
}

TEST(GradientWalk, AgreesWithAutogradAtEveryNode) {
  for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
    check(random_network(seed), random_clips(seed, kBatch), /*optimise=*/false, false, seed);
  }
}

TEST(GradientWalk, AgreesWithAutogradAtEveryNodeOfAnOptimisedNetwork) {
  for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
    check(random_network(seed), random_clips(seed, kBatch), /*optimise=*/true, false, seed);
  }
}

TEST(GradientWalk, AgreesWithAutogradForMargins) {
  for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
    check(random_network(seed), random_clips(seed, kBatch), seed % 2 == 0, true, seed);
  }
}

TEST(GradientWalk, AgreesInFloat32) {
  for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
    const Network network = random_network(seed);
    SCOPED_TRACE(trace_of(seed, network.graph));
    const at::Tensor clips = random_clips(seed, kBatch);
    const Executor exact(network, {.dtype = at::kDouble});
    const Executor fast(network, {});
    const at::Tensor weights = one_hot(seed, network.num_classes());
    // Only at the classifier and what enters it: further down, a ReLU or a maximum that is decided
    // by rounding may send a whole gradient another way.
    std::vector<bool> wanted(static_cast<std::size_t>(exact.graph().size()));
    const std::size_t last = wanted.size() - 1;
    wanted[last - 1] = true;
    const auto expected = walk(exact, clips, weights, wanted);
    const auto actual = walk(fast, clips, weights, wanted);
    for (const std::size_t id : {last - 1, last}) {
      EXPECT_TRUE(close_to(actual[id].gradient, expected[id].gradient, 1e-5));
      EXPECT_TRUE(close_to(actual[id].value.positive, expected[id].value.positive, 1e-4));
      EXPECT_TRUE(close_to(actual[id].value.negative, expected[id].value.negative, 1e-4));
    }
  }
}

TEST(GradientWalk, ConservesTheTargetInFloat32) {
  // sum of g*x over the input + sum over layers of b * sum of g + what standing BatchNorms shift
  // = the target, whatever way rounding decides a maximum. float32, ten layers.
  for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
    const Network network = random_network(seed);
    SCOPED_TRACE(trace_of(seed, network.graph));
    const at::Tensor clips = random_clips(seed, kBatch);
    const Executor executor(network, {});
    const at::Tensor weights = one_hot(seed, network.num_classes());
    const auto visited =
        walk(executor, clips, weights,
             std::vector<bool>(static_cast<std::size_t>(executor.graph().size()), true));
    at::Tensor total = (visited[0].value.positive - visited[0].value.negative).sum(1);
    at::Tensor size = (visited[0].value.positive + visited[0].value.negative).sum(1);
    for (NodeId id = 1; id < executor.graph().size(); ++id) {
      at::Tensor shift;
      if (is_layer(executor.graph().node(id))) shift = executor.layer(id).bias();
      if (std::holds_alternative<BatchNorm3d>(executor.graph().node(id).op)) {
        shift = executor.norm_shift(id);
      }
      if (!shift.defined() || !visited[static_cast<std::size_t>(id)].gradient.defined()) continue;
      const at::Tensor part =
          visited[static_cast<std::size_t>(id)].gradient.to(at::kDouble).sum({2, 3, 4}) *
          shift.to(at::kDouble).view({1, -1});
      total = total + part.sum(1);
      size = size + part.abs().sum(1);
    }
    const at::Tensor target = (executor.forward(clips).logits * weights).sum(1);
    for (int b = 0; b < kBatch; ++b) {
      EXPECT_NEAR(total[b].item<double>(), target[b].item<double>(), 1e-4 * size[b].item<double>());
    }
  }
}

TEST(GradientWalk, GoesNoFurtherThanWhatIsWanted) {
  for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
    const Network network = random_network(seed);
    const at::Tensor clips = random_clips(seed, kBatch);
    const Executor executor(network, {.dtype = at::kDouble});
    const NetworkGraph& graph = executor.graph();
    SCOPED_TRACE(trace_of(seed, graph));
    const at::Tensor weights = one_hot(seed, network.num_classes());
    const auto n = static_cast<std::size_t>(graph.size());
    const auto all = walk(executor, clips, weights, std::vector<bool>(n, true));
    std::vector<bool> wanted(n);
    std::size_t middle = n / 2;
    while (!routed_nodes(graph)[middle]) ++middle;
    wanted[middle] = true;
    const WalkPlan plan = plan_walk(graph, wanted);
    const auto some = walk(executor, clips, weights, wanted);
    // Whatever the wanted node leads to, and nothing else, is visited.
    std::vector<bool> reached = wanted;
    for (std::size_t id = 0; id < n; ++id) {
      const Node& node = graph.nodes()[id];
      for (std::size_t i = 0; i < node.inputs.size(); ++i) {
        const bool gate = i == 1 && std::holds_alternative<Multiply>(node.op);
        if (!gate && reached[static_cast<std::size_t>(node.inputs[i])]) reached[id] = true;
      }
      if (!routed_nodes(graph)[id]) reached[id] = false;
    }
    EXPECT_EQ(plan.on_path, reached);
    EXPECT_TRUE(reached.back());
    for (std::size_t id = 0; id < n; ++id) {
      ASSERT_EQ(some[id].gradient.defined(), reached[id]) << id;
      if (reached[id]) {
        EXPECT_TRUE(close_to(some[id].gradient, all[id].gradient, kTolerance)) << id;
      }
    }
  }
}

TEST(GradientWalk, LeavesTheTraceAsItIs) {
  for (std::uint64_t seed = 0; seed < 10; ++seed) {
    const Network network = random_network(seed);
    const Executor executor(network, {});
    SCOPED_TRACE(trace_of(seed, executor.graph()));
    const at::Tensor clips = random_clips(seed, kBatch);
    const Trace before = executor.forward(clips, true);
    const Trace trace = executor.forward(clips, true);
    const WalkPlan plan = plan_walk(executor.graph(), std::vector<bool>(trace.values.size(), true));
    const at::Tensor weights = one_hot(seed, network.num_classes());
    walk_gradient(executor, trace, weights, plan, [](NodeId, const OutputGradient&) {});
    for (std::size_t id = 0; id < trace.values.size(); ++id) {
      EXPECT_TRUE(equal_to(trace.values[id], before.values[id])) << id;
    }
    EXPECT_TRUE(equal_to(weights, one_hot(seed, network.num_classes())));
  }
}

/// x -> conv -> sum of the convolution and itself -> mean: two addends that are one tensor.
TEST(GradientWalk, AddsUpWhatComesBackFromBothSidesOfAnAddition) {
  NetworkGraph graph;
  const NodeId input = graph.add("input", Input{});
  const NodeId conv = graph.add("conv", Conv3d{.in_channels = 3, .out_channels = 2}, {input});
  const NodeId twice = graph.add("twice", Add{}, {conv, conv});
  const NodeId relu = graph.add("relu", Relu{}, {twice});
  const NodeId again = graph.add("again", Add{}, {relu, conv});
  const NodeId mean = graph.add("mean", GlobalAverage{}, {again});
  graph.add("fc", Linear{.in_features = 2, .out_features = 2}, {mean});
  Network network;
  network.weights = formula_weights(graph, 3);
  network.graph = graph;
  for (const bool optimise : {false, true}) {
    check(network, random_tensor({kBatch, 3, 2, 3, 4}, 1), optimise, false, 0);
  }
}

/// Both addends have a ReLU, whose step back overwrites the gradient: they must not share one.
TEST(GradientWalk, GivesEachAddendAGradientOfItsOwn) {
  NetworkGraph graph;
  const NodeId input = graph.add("input", Input{});
  const Conv3d pointwise{.in_channels = 3, .out_channels = 8};
  const NodeId left = graph.add("left", pointwise, {input});
  const NodeId left_relu = graph.add("left_relu", Relu{}, {left});
  const NodeId right = graph.add("right", pointwise, {input});
  const NodeId right_relu = graph.add("right_relu", Relu{}, {right});
  const NodeId sum = graph.add("sum", Add{}, {left_relu, right_relu});
  const NodeId mean = graph.add("mean", GlobalAverage{}, {sum});
  graph.add("fc", Linear{.in_features = 8, .out_features = 2}, {mean});
  Network network;
  network.weights = formula_weights(graph, 3);
  network.graph = graph;
  const at::Tensor clips = random_tensor({kBatch, 3, 2, 9, 9}, 1);
  const at::Tensor weights = one_hot(0, 2);
  for (const bool optimise : {false, true}) {
    const Executor executor(network, {.optimise = optimise});
    const Network prepared = optimise ? cfp::optimise(network) : network;
    const auto reference = run_reference(prepared.graph, prepared.weights, clips);
    const auto visited = walk(executor, clips, weights, std::vector<bool>(reference.size(), true));
    for (std::size_t id = 0; id < reference.size(); ++id) {
      SCOPED_TRACE(prepared.graph.nodes()[id].name);
      // One layer deep: few roundings, and no ReLU of this clip is decided by them.
      EXPECT_TRUE(close_to(
          visited[id].gradient,
          reference_gradient(reference.back().value.flatten(1), reference[id].sum, weights), 1e-6));
    }
  }
}

}  // namespace
}  // namespace cfp::test
