#include "stages/network/graph.h"

#include <stdexcept>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "stages/core/errors.h"

namespace cfp {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

/// input(3) -> conv a(4) -> bn -> relu, and a second convolution b(4) beside it, their sum, fc(2).
NetworkGraph two_paths() {
  NetworkGraph graph;
  const NodeId input = graph.add("input", Input{});
  NodeId a = graph.add("a", Conv3d{.in_channels = 3, .out_channels = 4}, {input});
  a = graph.add("a_bn", BatchNorm3d{.channels = 4}, {a});
  a = graph.add("a_relu", Relu{}, {a});
  a = graph.add("a2", Conv3d{.in_channels = 4, .out_channels = 4, .groups = 2, .bias = true}, {a});
  const NodeId b = graph.add("b", Conv3d{.in_channels = 3, .out_channels = 4}, {input});
  NodeId x = graph.add("sum", Add{}, {a, b});
  x = graph.add("mean", GlobalAverage{}, {x});
  graph.add("fc", Linear{.in_features = 4, .out_features = 2}, {x});
  return graph;
}

/// Shape of one pool's result for a clip of n in every axis.
int pooled(int n, MaxPool3d pool) {
  NetworkGraph graph;
  graph.add("input", Input{});
  graph.add("pool", pool, {0});
  const TensorShape shape = infer_shapes(graph, {n, n, n}).back();
  EXPECT_EQ(shape.channels, 3);
  return shape.size[0];
}

MaxPool3d pool_of(int k, int s, int p, bool ceil_mode) {
  return {.kernel = {k, k, k},
          .stride = {s, s, s},
          .padding = {{p, p, p}, {p, p, p}},
          .ceil_mode = ceil_mode};
}

template <class F>
void expect_refused(F add, const std::string& why) {
  EXPECT_THAT(add, ThrowsMessage<std::invalid_argument>(HasSubstr(why)));
}

TEST(NetworkGraph, KnowsNamesChannelsAndReaders) {
  const NetworkGraph graph = two_paths();
  EXPECT_EQ(graph.size(), 9);
  EXPECT_EQ(graph.output(), graph.find("fc"));
  EXPECT_EQ(graph.channels(graph.find("a_relu")), 4);
  EXPECT_EQ(graph.channels(graph.output()), 2);
  EXPECT_THAT(graph.readers(0), ElementsAre(graph.find("a"), graph.find("b")));
  EXPECT_THAT(graph.readers(graph.output()), ElementsAre());
  EXPECT_THAT([&] { graph.find("c"); }, ThrowsMessage<std::out_of_range>(HasSubstr("'c'")));
}

TEST(NetworkGraph, ConcatAddsUpChannels) {
  NetworkGraph graph = two_paths();
  const NodeId x = graph.add("joined", Concat{}, {graph.find("a"), 0, graph.find("sum")});
  EXPECT_EQ(graph.channels(x), 4 + 3 + 4);
}

TEST(NetworkGraph, RefusesNodesThatDoNotFit) {
  NetworkGraph graph = two_paths();
  const NetworkGraph before = graph;
  expect_refused([&] { graph.add("a", Relu{}, {0}); }, "'a' (Relu): the name is taken");
  expect_refused([&] { graph.add("", Relu{}, {0}); }, "has no name");
  expect_refused([&] { graph.add("x", Relu{}, {9}); }, "there is no node 9 before it");
  expect_refused([&] { graph.add("x", Relu{}, {-1}); }, "there is no node -1");
  expect_refused([&] { graph.add("x", Relu{}, {}); }, "has 0 inputs, takes 1");
  expect_refused([&] { graph.add("x", Add{}, {0}); }, "has 1 inputs, takes 2");
  expect_refused([&] { graph.add("x", Add{}, {0, 1}); }, "input 1 has 4 channels, 3 are needed");
  expect_refused([&] { graph.add("x", Concat{}, {0}); }, "takes 2 to");
  expect_refused([&] { graph.add("x", Input{}); }, "the first node, and no other, is the Input");
  expect_refused([&] { NetworkGraph().add("x", Relu{}); }, "the first node");
  expect_refused([&] { NetworkGraph().add("x", Input{.channels = 0}); }, "0 channels");
  expect_refused([&] { graph.add("x", BatchNorm3d{.channels = 4}, {0}); }, "3 channels");
  expect_refused([&] { graph.add("x", BatchNorm3d{.channels = 3, .eps = -1}, {0}); }, "eps");
  expect_refused([&] { graph.add("x", Linear{.in_features = 3}, {0}); }, "0 output features");
  EXPECT_EQ(graph, before) << "a refused node must leave no trace";
}

TEST(NetworkGraph, RefusesImpossibleWindows) {
  NetworkGraph graph = two_paths();
  const auto conv = [&](Conv3d op) {
    op.in_channels = op.in_channels == 0 ? 3 : op.in_channels;
    return [&graph, op] { graph.add("x", op, {0}); };
  };
  expect_refused(conv({.out_channels = 0}), "0 output channels");
  expect_refused(conv({.in_channels = 4, .out_channels = 1}), "3 channels, 4 are needed");
  expect_refused(conv({.out_channels = 4, .groups = 3}), "3 groups do not divide");
  expect_refused(conv({.out_channels = 3, .groups = 0}), "0 groups");
  expect_refused(conv({.out_channels = 1, .kernel = {1, 0, 1}}), "kernel is 1x0x1");
  expect_refused(conv({.out_channels = 1, .stride = {0, 1, 1}}), "stride is 0x1x1");
  expect_refused(conv({.out_channels = 1, .dilation = {1, 1, -2}}), "dilation is 1x1x-2");
  expect_refused(conv({.out_channels = 1, .padding = {{0, 0, 0}, {0, -1, 0}}}), "0x-1x0");
  expect_refused(conv({.out_channels = 1, .kernel = {1, 1, 1 << 30}}), "from 1 to 65536");
  // A window could lie in the padding alone, where nothing is the largest.
  expect_refused([&] { graph.add("x", pool_of(2, 2, 2, false), {0}); }, "smaller than the kernel");
  MaxPool3d zeros = pool_of(2, 2, 2, false);
  zeros.zero_padding = true;
  EXPECT_NO_THROW(graph.add("x", zeros, {0}));
}

TEST(NetworkGraph, TakesASecondInputOfAFusedConvolution) {
  NetworkGraph graph = two_paths();
  const Conv3d conv{.in_channels = 3, .out_channels = 4};
  const NodeId sum = graph.find("sum");
  EXPECT_NO_THROW(graph.add("fused", conv, {0, sum}));
  expect_refused([&] { graph.add("x", conv, {0, 0}); }, "input 1 has 3 channels, 4 are needed");
}

TEST(InferShapes, FollowsConvolutions) {
  NetworkGraph graph;
  graph.add("input", Input{});
  graph.add("asymmetric",
            Conv3d{.in_channels = 3,
                   .out_channels = 5,
                   .kernel = {7, 7, 7},
                   .stride = {2, 2, 2},
                   .padding = {{2, 2, 2}, {3, 3, 3}}},
            {0});
  graph.add("dilated",
            Conv3d{.in_channels = 5, .out_channels = 6, .kernel = {3, 1, 3}, .dilation = {2, 1, 3}},
            {1});
  graph.add("average", AvgPool3d{.kernel = {2, 7, 7}, .stride = {1, 2, 3}}, {2});
  const std::vector<TensorShape> shapes = infer_shapes(graph, {16, 63, 64});
  // (16 + 5 - 7) / 2 + 1, (63 + 5 - 7) / 2 + 1 = 31.5 rounded down, (64 + 5 - 7) / 2 + 1
  EXPECT_EQ(shapes[1], (TensorShape{5, {8, 31, 32}}));
  // 8 - 4, 31, 32 - 6
  EXPECT_EQ(shapes[2], (TensorShape{6, {4, 31, 26}}));
  // 4 - 1, (31 - 7) / 2 + 1, (26 - 7) / 3 + 1
  EXPECT_EQ(shapes[3], (TensorShape{6, {3, 13, 7}}));
  EXPECT_EQ(shapes[3].positions(), 3 * 13 * 7);
}

TEST(InferShapes, PoolsAsPyTorchDoes) {
  struct Case {
    int kernel, stride, padding, size, floor, ceil;
  };
  // The last two columns are what torch.nn.MaxPool3d returns without and with ceil_mode.
  const Case cases[]{{3, 2, 1, 5, 3, 3}, {3, 2, 1, 6, 3, 4}, {2, 2, 1, 5, 3, 3},
                     {2, 3, 1, 5, 2, 2}, {2, 2, 0, 5, 2, 3}, {3, 3, 1, 7, 3, 3},
                     {2, 3, 0, 6, 2, 2}, {2, 2, 1, 3, 2, 2}};
  for (const auto& [k, s, p, n, floor, ceil] : cases) {
    EXPECT_EQ(pooled(n, pool_of(k, s, p, false)), floor) << k << s << p << n;
    EXPECT_EQ(pooled(n, pool_of(k, s, p, true)), ceil) << k << s << p << n;
  }
}

TEST(InferShapes, ZeroPaddingCountsAsTensor) {
  // An explicit pad of (0, 1) and torch.nn.MaxPool3d(2, 2, ceil_mode=True) on 4: windows at 0, 2
  // and 4, the last one in the zeros alone. Without zero_padding there is no such window.
  MaxPool3d pool{.kernel = {2, 2, 2},
                 .stride = {2, 2, 2},
                 .padding = {{0, 0, 0}, {1, 1, 1}},
                 .ceil_mode = true,
                 .zero_padding = true};
  EXPECT_EQ(pooled(4, pool), 3);
  pool.zero_padding = false;
  EXPECT_EQ(pooled(4, pool), 2);
}

TEST(InferShapes, NamesTheNodeThatDoesNotFit) {
  NetworkGraph graph;
  graph.add("input", Input{});
  graph.add("stem", Conv3d{.in_channels = 3, .out_channels = 3, .kernel = {1, 3, 3}}, {0});
  graph.add("late_pool", AvgPool3d{.kernel = {2, 2, 2}}, {1});
  EXPECT_NO_THROW(infer_shapes(graph, {2, 4, 4}));
  EXPECT_THAT(
      [&] {
        infer_shapes(graph, {1, 4, 4});
      },
      ThrowsMessage<ConfigError>(AllOf(HasSubstr("clip of 1x4x4"), HasSubstr("'late_pool'"),
                                       HasSubstr("1x2x2"), HasSubstr("window of 2x2x2"))));
  EXPECT_THAT(
      [&] {
        infer_shapes(graph, {2, 2, 4});
      },
      ThrowsMessage<ConfigError>(HasSubstr("'stem' (Conv3d)")));
  EXPECT_THAT(
      [&] {
        infer_shapes(graph, {0, 4, 4});
      },
      ThrowsMessage<ConfigError>(HasSubstr("0x4x4")));
  EXPECT_THAT(
      [&] {
        infer_shapes(graph, {2, 4, 2'000'000'000});
      },
      ThrowsMessage<ConfigError>(HasSubstr("each must be from 1 to")));
}

TEST(InferShapes, RefusesUnequalSumsAndUnpooledClassifiers) {
  NetworkGraph graph;
  graph.add("input", Input{});
  graph.add("half", Conv3d{.in_channels = 3, .out_channels = 3, .stride = {2, 2, 2}}, {0});
  NetworkGraph sum = graph;
  sum.add("sum", Add{}, {0, 1});
  EXPECT_THAT(
      [&] {
        infer_shapes(sum, {4, 4, 4});
      },
      ThrowsMessage<ConfigError>(
          AllOf(HasSubstr("'sum'"), HasSubstr("4x4x4"), HasSubstr("2x2x2"))));
  NetworkGraph concat = graph;
  concat.add("joined", Concat{}, {0, 1});
  EXPECT_THAT(
      [&] {
        infer_shapes(concat, {4, 4, 4});
      },
      ThrowsMessage<ConfigError>(HasSubstr("'joined'")));
  graph.add("fc", Linear{.in_features = 3, .out_features = 2}, {1});
  EXPECT_THAT(
      [&] {
        infer_shapes(graph, {4, 4, 4});
      },
      ThrowsMessage<ConfigError>(HasSubstr("it takes 1x1x1")));
  EXPECT_EQ(infer_shapes(graph, {1, 2, 2}).back(), (TensorShape{2, {1, 1, 1}}));
}

TEST(LayerDepths, TakesTheLongestPath) {
  const NetworkGraph graph = two_paths();
  const std::vector<int> depths = layer_depths(graph);
  const auto depth = [&](std::string_view name) {
    return depths[static_cast<std::size_t>(graph.find(name))];
  };
  EXPECT_EQ(depth("fc"), 1);
  EXPECT_EQ(depth("a2"), 2);
  EXPECT_EQ(depth("b"), 2);
  EXPECT_EQ(depth("a"), 3);
  for (const char* name : {"input", "a_bn", "a_relu", "sum", "mean"}) EXPECT_EQ(depth(name), 0);
}

TEST(LayerDepths, IgnoresWhatDoesNotLeadToTheClass) {
  NetworkGraph graph;
  graph.add("input", Input{});
  graph.add("used", Conv3d{.in_channels = 3, .out_channels = 2}, {0});
  graph.add("dead", Conv3d{.in_channels = 2, .out_channels = 2}, {1});
  graph.add("mean", GlobalAverage{}, {1});
  EXPECT_THAT(layer_depths(graph), ElementsAre(0, 1, 0, 0));
  EXPECT_THAT(layer_depths(NetworkGraph()), ElementsAre());
}

TEST(TensorSpecs, ListsTensorsInTheOrderOfTheNodes) {
  const std::vector<TensorSpec> expected{
      {"a.weight", {4, 3, 1, 1, 1}},
      {"a_bn.weight", {4}},
      {"a_bn.bias", {4}},
      {"a_bn.running_mean", {4}},
      {"a_bn.running_var", {4}},
      {"a2.weight", {4, 2, 1, 1, 1}},
      {"a2.bias", {4}},
      {"b.weight", {4, 3, 1, 1, 1}},
      {"fc.weight", {2, 4}},
      {"fc.bias", {2}},
  };
  EXPECT_EQ(tensor_specs(two_paths()), expected);
}

}  // namespace
}  // namespace cfp
