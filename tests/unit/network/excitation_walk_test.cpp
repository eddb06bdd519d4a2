// Positive relevance at every node of random networks against rules that are written out one by
// one, and what must hold for it whatever the network.
#include <algorithm>

#include <ATen/TensorOperators.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros_like.h>
#include <gtest/gtest.h>

#include "stages/network/passes.h"
#include "stages/network/walks.h"
#include "tests/support/random_graphs.h"
#include "tests/unit/network/reference_excitation.h"
#include "tests/unit/network/tensor_helpers.h"

namespace cfp::test {
namespace {

constexpr std::uint64_t kSeeds = 40;
constexpr int kBatch = 2;
// Float64; quotients of small numbers.
constexpr double kTolerance = 1e-9;

// Wider than the clips' [-1, 1), and other for every channel.
const InputBounds kBounds{{-1.0, -1.5, -1.25}, {1.0, 1.125, 2.0}};

std::string trace_of(std::uint64_t seed, const NetworkGraph& graph) {
  return "seed " + std::to_string(seed) + "\n" + describe(graph);
}

/// A random network run both ways.
struct Case {
  Network network;
  Executor executor;
  std::vector<int> classes;
  std::vector<ReferenceNode> nodes;
  std::vector<at::Tensor> expected;  ///< R by node

  Case(std::uint64_t seed, bool optimise)
      : network(optimise ? cfp::optimise(random_network(seed)) : random_network(seed)),
        executor(network, {.dtype = at::kDouble, .optimise = false}) {
    for (int b = 0; b < kBatch; ++b) {
      classes.push_back((static_cast<int>(seed) + b) % network.num_classes());
    }
    nodes = run_reference(network.graph, network.weights, random_clips(seed, kBatch));
    expected = reference_excitation(network.graph, network.weights, nodes, classes,
                                    at::tensor(kBounds.low, at::kDouble),
                                    at::tensor(kBounds.high, at::kDouble));
  }

  /// Node whose value enters the classifier.
  std::size_t last() const {
    const NetworkGraph& graph = network.graph;
    const bool mean = std::holds_alternative<GlobalAverage>(graph.nodes().back().op);
    return static_cast<std::size_t>(graph.node(graph.output() - (mean ? 1 : 0)).inputs[0]);
  }
};

std::vector<at::Tensor> walk(const Executor& executor, const at::Tensor& clips,
                             const std::vector<int>& classes, const std::vector<bool>& wanted) {
  const WalkPlan plan = plan_walk(executor.graph(), wanted);
  const Trace trace = executor.forward(clips, {plan.keep, {}});
  std::vector<at::Tensor> visited(wanted.size());
  const BoundedInput input(kBounds);
  const auto visit = [&](NodeId id, const at::Tensor& r) {
    at::Tensor& slot = visited.at(static_cast<std::size_t>(id));
    EXPECT_FALSE(slot.defined()) << "node " << id << " was visited twice";
    slot = r.clone();
  };
  walk_excitation(executor, trace, classes, input, plan, {visit});
  return visited;
}

std::vector<bool> everything(const Executor& executor) {
  return std::vector<bool>(static_cast<std::size_t>(executor.graph().size()), true);
}

void expect_agreement(std::uint64_t seed, bool optimise) {
  const Case c(seed, optimise);
  SCOPED_TRACE(trace_of(seed, c.network.graph));
  const auto visited =
      walk(c.executor, random_clips(seed, kBatch), c.classes, everything(c.executor));
  for (std::size_t id = 0; id < visited.size(); ++id) {
    SCOPED_TRACE(c.network.graph.nodes()[id].name);
    ASSERT_EQ(visited[id].defined(), id <= c.last() && c.expected[id].defined());
    if (visited[id].defined()) {
      EXPECT_TRUE(close_to(visited[id], c.expected[id], kTolerance));
    }
  }
}

TEST(ExcitationWalk, FollowsTheRulesAtEveryNode) {
  for (std::uint64_t seed = 0; seed < kSeeds; ++seed) expect_agreement(seed, false);
}

/// Whether a BatchNorm that stands alone reads `id`, perhaps through what only moves values.
bool leads_to_norm(const NetworkGraph& graph, NodeId id) {
  return std::ranges::any_of(graph.readers(id), [&](NodeId reader) {
    const Op& op = graph.node(reader).op;
    if (std::holds_alternative<BatchNorm3d>(op)) return true;
    const bool moves =
        std::holds_alternative<MaxPool3d>(op) || std::holds_alternative<Relu>(op) ||
        std::holds_alternative<Concat>(op) || std::holds_alternative<SelectChannels>(op) ||
        std::holds_alternative<SelectPositions>(op) || std::holds_alternative<Pad>(op) ||
        std::holds_alternative<Spread>(op) || std::holds_alternative<Pointwise>(op) ||
        std::holds_alternative<Multiply>(op);
    return moves && leads_to_norm(graph, reader);
  });
}

/// Whether relevance may arrive at a fused addition where its ReLU is closed. Nothing but a
/// BatchNorm that stands alone sends any there. The trace then holds 0 instead of the sum, so that
/// the split between the addends is another one than the unfused network's, if both are negative.
bool meets_closed_sums(const NetworkGraph& graph) {
  for (NodeId id = 0; id < graph.size(); ++id) {
    const Node& node = graph.node(id);
    const auto* conv = std::get_if<Conv3d>(&node.op);
    const auto* add = std::get_if<Add>(&node.op);
    const bool closes =
        (conv != nullptr && conv->relu && node.inputs.size() == 2) || (add != nullptr && add->relu);
    if (closes && leads_to_norm(graph, id)) return true;
  }
  return false;
}

TEST(ExcitationWalk, FollowsTheRulesAtEveryNodeOfAnOptimisedNetwork) {
  int compared = 0;
  for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
    if (meets_closed_sums(cfp::optimise(random_network(seed)).graph)) continue;
    expect_agreement(seed, true);
    ++compared;
  }
  EXPECT_GE(compared, 30);
}

TEST(ExcitationWalk, IsNeverNegativeAndNeverGrows) {
  for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
    const Network network = random_network(seed);
    const Executor executor(network, {});
    SCOPED_TRACE(trace_of(seed, executor.graph()));
    const std::vector<int> classes{0, network.num_classes() - 1};
    const auto visited = walk(executor, random_clips(seed, kBatch), classes, everything(executor));
    for (std::size_t id = 0; id < visited.size(); ++id) {
      if (!visited[id].defined()) continue;
      SCOPED_TRACE(executor.graph().nodes()[id].name);
      const at::Tensor r = visited[id].to(at::kDouble);
      EXPECT_GE(r.min().item<double>(), 0);
      // Float32: 1 plus the rounding of ten layers.
      EXPECT_LE(r.flatten(1).sum(1).max().item<double>(), 1 + 2e-5);
    }
  }
}

TEST(ExcitationWalk, SumsToOneWhereItEntersTheClassifier) {
  int ones = 0;
  for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
    const Case c(seed, true);
    SCOPED_TRACE(trace_of(seed, c.network.graph));
    const auto visited =
        walk(c.executor, random_clips(seed, kBatch), c.classes, everything(c.executor));
    const at::Tensor sums = visited[c.last()].flatten(1).sum(1);
    for (std::int64_t b = 0; b < kBatch; ++b) {
      // A class without a positive weight on what is active has no relevance at all.
      if (c.expected[c.last()][b].max().item<double>() == 0) {
        EXPECT_EQ(sums[b].item<double>(), 0);
      } else {
        EXPECT_NEAR(sums[b].item<double>(), 1, 1e-12);
        ++ones;
      }
    }
  }
  EXPECT_GT(ones, static_cast<int>(kSeeds));
}

TEST(ExcitationWalk, IsConservedByEveryConvolution) {
  int convolutions = 0;
  for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
    const Case c(seed, false);
    const NetworkGraph& graph = c.network.graph;
    SCOPED_TRACE(trace_of(seed, graph));
    const auto visited =
        walk(c.executor, random_clips(seed, kBatch), c.classes, everything(c.executor));
    for (std::size_t id = 1; id <= c.last(); ++id) {
      const Node& node = graph.nodes()[id];
      const auto* conv = std::get_if<Conv3d>(&node.op);
      const NodeId input = conv == nullptr ? 0 : node.inputs[0];
      // The input follows another rule; a tensor that is read twice gets relevance from both.
      if (conv == nullptr || input == 0 || graph.readers(input).size() != 1) continue;
      if (!visited[id].defined()) continue;  // it only feeds a gate
      SCOPED_TRACE(node.name);
      const auto in = static_cast<std::size_t>(input);
      const at::Tensor weight = reference_weight(c.network.weights, node.name + ".weight");
      const at::Tensor z = positive_response(*conv, weight, c.nodes[in].value.detach());
      const at::Tensor kept = at::where(z > 0, visited[id], at::zeros_like(z)).flatten(1).sum(1);
      const at::Tensor got = visited[in].flatten(1).sum(1);
      for (std::int64_t b = 0; b < kBatch; ++b) {
        EXPECT_NEAR(got[b].item<double>(), kept[b].item<double>(), 1e-12);
      }
      ++convolutions;
    }
  }
  EXPECT_GT(convolutions, static_cast<int>(kSeeds));
}

TEST(ExcitationWalk, IsConservedByTheFirstLayer) {
  for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
    const Case c(seed, false);
    SCOPED_TRACE(trace_of(seed, c.network.graph));
    ASSERT_EQ(c.network.graph.readers(0), std::vector<NodeId>{1});
    const auto visited =
        walk(c.executor, random_clips(seed, kBatch), c.classes, everything(c.executor));
    // Strictly inside its bounds, the input gives every kernel with a weight a positive z.
    const at::Tensor kept = visited[1].flatten(1).sum(1), got = visited[0].flatten(1).sum(1);
    for (std::int64_t b = 0; b < kBatch; ++b) {
      EXPECT_NEAR(got[b].item<double>(), kept[b].item<double>(), 1e-12);
    }
  }
}

TEST(ExcitationWalk, GoesNoFurtherThanWhatIsWanted) {
  for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
    const Case c(seed, false);
    SCOPED_TRACE(trace_of(seed, c.network.graph));
    std::vector<bool> wanted(c.nodes.size());
    std::size_t middle = c.nodes.size() / 2;
    while (!routed_nodes(c.network.graph)[middle]) ++middle;
    wanted[middle] = true;
    const WalkPlan plan = plan_walk(c.network.graph, wanted);
    const auto visited = walk(c.executor, random_clips(seed, kBatch), c.classes, wanted);
    for (std::size_t id = 0; id < visited.size(); ++id) {
      ASSERT_EQ(visited[id].defined(), plan.on_path[id] && id <= c.last()) << id;
      if (visited[id].defined()) {
        EXPECT_TRUE(close_to(visited[id], c.expected[id], kTolerance)) << id;
      }
    }
  }
}

TEST(ExcitationWalk, LeavesTheTraceAsItIs) {
  for (std::uint64_t seed = 0; seed < 10; ++seed) {
    const Network network = random_network(seed);
    const Executor executor(network, {});
    SCOPED_TRACE(trace_of(seed, executor.graph()));
    const Trace before = executor.forward(random_clips(seed, kBatch), true);
    const Trace trace = executor.forward(random_clips(seed, kBatch), true);
    const WalkPlan plan = plan_walk(executor.graph(), everything(executor));
    const std::vector<int> classes{0, 1};
    const BoundedInput input(kBounds);
    walk_excitation(executor, trace, classes, input, plan, {[](NodeId, const at::Tensor&) {}});
    for (std::size_t id = 0; id < trace.values.size(); ++id) {
      EXPECT_TRUE(equal_to(trace.values[id], before.values[id])) << id;
    }
  }
}

}  // namespace
}  // namespace cfp::test
