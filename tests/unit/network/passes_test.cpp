// Passes keep the logits: on random networks, and node by node on small ones made for the purpose.
#include "stages/network/passes.h"

#include <ATen/TensorOperators.h>
#include <gtest/gtest.h>

#include "stages/network/executor.h"
#include "stages/network/random_weights.h"
#include "tests/support/random_graphs.h"
#include "tests/unit/network/reference_network.h"
#include "tests/unit/network/tensor_helpers.h"

namespace cfp::test {
namespace {

constexpr std::uint64_t kSeeds = 40;
const ExecutorOptions kExactPlain{.dtype = at::kDouble, .optimise = false};
const ExecutorOptions kExactOptimised{.dtype = at::kDouble, .optimise = true};

// Float64 with numbers of one size everywhere: only the order of sums differs.
constexpr double kExactTolerance = 1e-10;
// Folded weights are rounded to float32 once, 2^-24 each; up to ten layers and cancellation in the
// logits enlarge that.
constexpr double kFoldTolerance = 1e-5;

at::Tensor logits(const Network& network, const ExecutorOptions& options, const at::Tensor& clips) {
  return Executor(network, options).forward(clips).logits;
}

std::string trace_of(std::uint64_t seed, const NetworkGraph& graph) {
  return "seed " + std::to_string(seed) + "\n" + describe(graph);
}

template <class Kind>
int count(const NetworkGraph& graph) {
  int n = 0;
  for (const Node& node : graph.nodes()) n += std::holds_alternative<Kind>(node.op);
  return n;
}

TEST(Executor, GivesTheLogitsOfTheReference) {
  for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
    const Network network = random_network(seed);
    SCOPED_TRACE(trace_of(seed, network.graph));
    const at::Tensor clips = random_clips(seed, 2);
    const at::Tensor expected =
        run_reference(network.graph, network.weights, clips).back().value.flatten(1);
    EXPECT_TRUE(close_to(logits(network, kExactPlain, clips), expected, kExactTolerance));
  }
}

TEST(Executor, GivesEveryValueOfTheReference) {
  for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
    const Network network = random_network(seed);
    SCOPED_TRACE(trace_of(seed, network.graph));
    const at::Tensor clips = random_clips(seed, 2);
    const auto reference = run_reference(network.graph, network.weights, clips);
    const Trace trace = Executor(network, kExactPlain).forward(clips, true);
    for (std::size_t id = 0; id < reference.size(); ++id) {
      EXPECT_TRUE(close_to(trace.values[id], reference[id].value, kExactTolerance))
          << network.graph.nodes()[id].name;
    }
  }
}

TEST(Passes, KeepTheLogitsInFloat64) {
  for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
    const Network network = random_network(seed);
    SCOPED_TRACE(trace_of(seed, network.graph));
    const at::Tensor clips = random_clips(seed, 2);
    const at::Tensor expected = logits(network, kExactPlain, clips);
    const at::Tensor optimised = logits(network, kExactOptimised, clips);
    EXPECT_TRUE(close_to(optimised, expected, kFoldTolerance));
    // But for the rounding of folded weights nothing changes.
    const Network folded = fold_batch_norms(network);
    EXPECT_TRUE(close_to(logits(folded, kExactPlain, clips), optimised, kExactTolerance));
    EXPECT_TRUE(
        close_to(logits(fuse_additions(network), kExactPlain, clips), expected, kExactTolerance));
    EXPECT_TRUE(
        close_to(logits(fuse_relus(network), kExactPlain, clips), expected, kExactTolerance));
  }
}

TEST(Passes, KeepTheLogitsInFloat32ByFusedOperators) {
  if (!fused_convolutions_available()) GTEST_SKIP() << "this LibTorch has no fused operators";
  for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
    const Network network = random_network(seed);
    SCOPED_TRACE(trace_of(seed, network.graph));
    const at::Tensor clips = random_clips(seed, 2);
    const Executor fused(network, {});
    ASSERT_TRUE(fused.options().fused);
    // Float32 has 6e-8 a rounding; sums of some hundred products, ten layers, cancellation.
    EXPECT_TRUE(close_to(fused.forward(clips).logits, logits(network, kExactPlain, clips), 1e-4));
    EXPECT_TRUE(close_to(logits(network, {.fused = false}, clips),
                         logits(network, kExactPlain, clips), 1e-4));
  }
}

TEST(Passes, LeaveNothingToFuse) {
  int folded = 0, fused_additions = 0, fused_relus = 0;
  for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
    const Network network = random_network(seed);
    const NetworkGraph graph = optimise(network).graph;
    SCOPED_TRACE(trace_of(seed, graph));
    // By name, what each node that is left had before it: only first reasons count, so that of two
    // batch norms or ReLUs in a row one may stay.
    for (const Node& node : graph.nodes()) {
      if (node.inputs.empty()) continue;
      const NodeId before = network.graph.node(network.graph.find(node.name)).inputs[0];
      if (network.graph.readers(before).size() != 1) continue;
      const Op& op = network.graph.node(before).op;
      const bool behind_conv = std::holds_alternative<Conv3d>(op);
      if (std::holds_alternative<BatchNorm3d>(node.op) || std::holds_alternative<Add>(node.op)) {
        EXPECT_FALSE(behind_conv) << node.name;
      }
      if (std::holds_alternative<Relu>(node.op)) {
        EXPECT_FALSE(behind_conv || std::holds_alternative<Add>(op) ||
                     std::holds_alternative<BatchNorm3d>(op))
            << node.name;
      }
    }
    folded += count<BatchNorm3d>(network.graph) - count<BatchNorm3d>(graph);
    fused_additions += count<Add>(network.graph) - count<Add>(graph);
    fused_relus += count<Relu>(network.graph) - count<Relu>(graph);
  }
  EXPECT_GT(folded, 0);
  EXPECT_GT(fused_additions, 0);
  EXPECT_GT(fused_relus, 0);
}

/// A network of one node after the other; weights from a formula.
Network with_weights(NetworkGraph graph) {
  Network network;
  network.weights = formula_weights(graph, 1);
  network.graph = std::move(graph);
  return network;
}

Conv3d pointwise(int in, int out) { return {.in_channels = in, .out_channels = out}; }

TEST(FoldBatchNorms, LeavesAConvolutionThatIsReadTwice) {
  NetworkGraph graph;
  const NodeId input = graph.add("input", Input{});
  const NodeId conv = graph.add("conv", pointwise(3, 4), {input});
  const NodeId norm = graph.add("bn", BatchNorm3d{.channels = 4}, {conv});
  graph.add("sum", Add{}, {norm, conv});
  const Network network = with_weights(graph);
  const Network folded = fold_batch_norms(network);
  EXPECT_EQ(folded.graph, network.graph);
  EXPECT_TRUE(folded.weights.contains("bn.running_var"));
}

TEST(FoldBatchNorms, GivesTheConvolutionABiasAndDropsTheNorm) {
  NetworkGraph graph;
  const NodeId input = graph.add("input", Input{});
  const NodeId conv = graph.add("conv", pointwise(3, 4), {input});
  graph.add("bn", BatchNorm3d{.channels = 4}, {conv});
  const Network folded = fold_batch_norms(with_weights(graph));
  ASSERT_EQ(folded.graph.size(), 2);
  EXPECT_EQ(folded.graph.nodes().back().name, "conv");
  EXPECT_TRUE(std::get<Conv3d>(folded.graph.nodes().back().op).bias);
  EXPECT_EQ(folded.weights.size(), 2U);
  EXPECT_EQ(folded.weights.at("conv.bias").shape, std::vector<std::int64_t>{4});
}

TEST(FoldBatchNorms, LeavesWeightsThatOthersShareAsTheyAre) {
  NetworkGraph graph;
  const NodeId input = graph.add("input", Input{});
  graph.add("bn", BatchNorm3d{.channels = 3}, {graph.add("conv", pointwise(3, 3), {input})});
  const Network network = with_weights(graph);
  const at::Tensor before = reference_weight(network.weights, "conv.weight").clone();
  fold_batch_norms(network);
  EXPECT_TRUE(equal_to(reference_weight(network.weights, "conv.weight"), before));
}

TEST(FuseAdditions, TakesTheSecondAddendWhereTheFirstIsReadTwice) {
  NetworkGraph graph;
  const NodeId input = graph.add("input", Input{});
  const NodeId first = graph.add("first", pointwise(3, 4), {input});
  const NodeId second = graph.add("second", pointwise(4, 4), {first});
  graph.add("sum", Add{}, {first, second});
  const Network fused = fuse_additions(with_weights(graph));
  ASSERT_EQ(fused.graph.size(), 3);
  const Node& node = fused.graph.nodes().back();
  EXPECT_EQ(node.name, "second");
  EXPECT_EQ(std::get<Conv3d>(node.op).addition, "sum");
  EXPECT_EQ(node.inputs, (std::vector<NodeId>{1, 1}));
}

TEST(FuseAdditions, LeavesATensorAddedToItself) {
  NetworkGraph graph;
  const NodeId input = graph.add("input", Input{});
  const NodeId conv = graph.add("conv", pointwise(3, 4), {input});
  graph.add("sum", Add{}, {conv, conv});
  const Network network = with_weights(graph);
  EXPECT_EQ(fuse_additions(network).graph, network.graph);
}

TEST(FuseRelus, LeavesWhatIsAlsoReadWithoutTheRelu) {
  NetworkGraph graph;
  const NodeId input = graph.add("input", Input{});
  const NodeId conv = graph.add("conv", pointwise(3, 4), {input});
  const NodeId relu = graph.add("relu", Relu{}, {conv});
  graph.add("sum", Add{}, {relu, conv});
  const Network network = with_weights(graph);
  EXPECT_EQ(fuse_relus(network).graph, network.graph);
}

TEST(FuseRelus, LeavesAReluBehindAPool) {
  NetworkGraph graph;
  const NodeId input = graph.add("input", Input{});
  const NodeId conv = graph.add("conv", pointwise(3, 4), {input});
  const NodeId pool = graph.add("pool", MaxPool3d{.kernel = {1, 2, 2}}, {conv});
  graph.add("relu", Relu{}, {pool});
  const Network network = with_weights(graph);
  EXPECT_EQ(fuse_relus(network).graph, network.graph);
}

TEST(Trace, HoldsWhatWasAskedForAndChangesNoLogit) {
  for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
    const Network network = random_network(seed);
    SCOPED_TRACE(trace_of(seed, network.graph));
    const at::Tensor clips = random_clips(seed, 2);
    const Executor executor(network, {});
    const Trace all = executor.forward(clips, true);
    const Trace none = executor.forward(clips);
    std::vector<bool> keep(all.values.size());
    for (std::size_t id = 0; id < keep.size(); ++id) keep[id] = (id + seed) % 3 == 0;
    const Trace some = executor.forward(clips, {keep, {}});
    EXPECT_TRUE(equal_to(none.logits, all.logits));
    EXPECT_TRUE(equal_to(some.logits, all.logits));
    for (std::size_t id = 0; id < keep.size(); ++id) {
      EXPECT_FALSE(none.values[id].defined()) << id;
      ASSERT_EQ(some.values[id].defined(), keep[id]) << id;
      if (keep[id]) {
        EXPECT_TRUE(equal_to(some.values[id], all.values[id])) << id;
      }
    }
  }
}

TEST(Executor, GivesEveryClipOfABatchWhatItGetsAlone) {
  for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
    const Network network = random_network(seed);
    SCOPED_TRACE(trace_of(seed, network.graph));
    const Executor executor(network, kExactOptimised);
    const at::Tensor clips = random_clips(seed, 2);
    const at::Tensor together = executor.forward(clips).logits;
    for (const int b : {0, 1}) {
      EXPECT_TRUE(close_to(executor.forward(clips.narrow(0, b, 1)).logits, together.narrow(0, b, 1),
                           kExactTolerance));
    }
  }
}

}  // namespace
}  // namespace cfp::test
