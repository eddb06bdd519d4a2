#include "tests/support/random_graphs.h"

#include <algorithm>
#include <map>
#include <set>
#include <string>

#include <gtest/gtest.h>

#include "stages/core/formula.h"

namespace cfp::test {
namespace {

constexpr std::uint64_t kSeeds = 300;

/// What a network shows of the list in random_graphs.h.
std::set<std::string> features(const NetworkGraph& graph) {
  std::set<std::string> found;
  for (NodeId id = 0; id < graph.size(); ++id) {
    const Node& node = graph.node(id);
    found.emplace(op_name(node.op));
    const auto reads = [&](auto kind) {
      return std::holds_alternative<decltype(kind)>(graph.node(node.inputs[0]).op);
    };
    if (const auto* conv = std::get_if<Conv3d>(&node.op)) {
      if (std::ranges::max(conv->stride) > 1) found.insert("stride");
      if (std::ranges::max(conv->dilation) > 1) found.insert("dilation");
      if (conv->groups > 1) found.insert("groups");
      if (conv->groups > 1 && conv->groups == conv->in_channels) found.insert("depth-wise");
      if (!conv->padding.symmetric()) found.insert("asymmetric padding");
      if (conv->bias) found.insert("bias");
      if (graph.readers(id).size() > 1) found.insert("convolution read twice");
    } else if (const auto* pool = std::get_if<MaxPool3d>(&node.op)) {
      if (pool->ceil_mode) found.insert("ceil_mode");
      if (pool->zero_padding && !pool->padding.symmetric()) found.insert("zeros to one side");
      if (!pool->zero_padding && pool->padding != Padding{}) found.insert("padded maximum");
    } else if (std::holds_alternative<BatchNorm3d>(node.op)) {
      found.insert(reads(Conv3d{}) ? "batch norm behind a convolution" : "batch norm alone");
    } else if (std::holds_alternative<Add>(node.op)) {
      if (graph.node(id).inputs[0] > graph.node(id).inputs[1]) found.insert("shortcut second");
    }
  }
  const bool linear = std::holds_alternative<Linear>(graph.nodes().back().op);
  found.insert(linear ? "linear classifier" : "convolution as classifier");
  return found;
}

TEST(RandomGraphs, KeepTheirBounds) {
  for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
    const NetworkGraph graph = random_graph(seed);
    SCOPED_TRACE(testing::Message() << "seed " << seed << '\n' << describe(graph));
    int convs = 0;
    for (NodeId id = 0; id < graph.size(); ++id) {
      convs += std::holds_alternative<Conv3d>(graph.node(id).op);
      EXPECT_GE(graph.channels(id), 2);
      EXPECT_LE(graph.channels(id), 12);
      EXPECT_EQ(graph.readers(id).empty(), id == graph.output()) << graph.node(id).name;
    }
    EXPECT_GE(convs, 3);
    EXPECT_LE(convs, 10);
    EXPECT_EQ(infer_shapes(graph, kSmallestClip).back().size, (Triple{1, 1, 1}));
  }
}

TEST(RandomGraphs, TakeEveryClipOfTheRange) {
  for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
    const NetworkGraph graph = random_graph(seed);
    for (int t = kSmallestClip[0]; t <= kLargestClip[0]; ++t) {
      for (int h = kSmallestClip[1]; h <= kLargestClip[1]; ++h) {
        for (int w = kSmallestClip[2]; w <= kLargestClip[2]; ++w) {
          ASSERT_NO_THROW(infer_shapes(graph, {t, h, w})) << "seed " << seed << '\n'
                                                          << describe(graph);
        }
      }
    }
    const Triple size = random_clip_size(seed);
    for (std::size_t axis = 0; axis < 3; ++axis) {
      EXPECT_GE(size[axis], kSmallestClip[axis]);
      EXPECT_LE(size[axis], kLargestClip[axis]);
    }
  }
}

TEST(RandomGraphs, ShowEveryFeatureOften) {
  std::map<std::string, int> networks_from_feature;
  for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
    for (const std::string& feature : features(random_graph(seed))) {
      ++networks_from_feature[feature];
    }
  }
  // One in thirty: the first thirty seeds of a property test are likely to meet it.
  for (const char* feature : {"stride",
                              "dilation",
                              "groups",
                              "depth-wise",
                              "asymmetric padding",
                              "bias",
                              "convolution read twice",
                              "ceil_mode",
                              "zeros to one side",
                              "padded maximum",
                              "batch norm behind a convolution",
                              "batch norm alone",
                              "shortcut second",
                              "Add",
                              "Concat",
                              "MaxPool3d",
                              "AvgPool3d",
                              "AdaptiveAverage",
                              "SelectChannels",
                              "SelectPositions",
                              "Pad",
                              "Spread",
                              "Pointwise",
                              "Multiply",
                              "Relu",
                              "linear classifier",
                              "convolution as classifier"}) {
    EXPECT_GE(networks_from_feature[feature], static_cast<int>(kSeeds) / 30) << feature;
  }
}

TEST(RandomGraphs, AreTheSameOnEveryMachine) {
  EXPECT_EQ(random_graph(5), random_graph(5));
  EXPECT_NE(describe(random_graph(5)), describe(random_graph(6)));
  // A change here changes the meaning of every seed that a failing test ever printed.
  std::uint64_t hash = fnv1a64("");
  for (std::uint64_t seed = 0; seed < 20; ++seed)
    hash = fnv1a64(describe(random_graph(seed)), hash);
  EXPECT_EQ(hash, 13471058013067627056ULL);
}

}  // namespace
}  // namespace cfp::test
