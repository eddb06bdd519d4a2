#include "stages/pyramid/routing.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "stages/core/errors.h"

namespace cfp {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::ThrowsMessage;

/// Kernels and channels that are found, of `n`.
ChannelRelevance found(std::size_t n, const std::vector<std::size_t>& which) {
  ChannelRelevance relevance;
  relevance.positive.assign(n, 1);
  relevance.negative.assign(n, 0);
  relevance.score.assign(n, 1);
  relevance.found.assign(n, 0);
  relevance.reached.assign(n, 9);  // must be set, whatever it was
  for (const std::size_t c : which) relevance.found[c] = 1;
  return relevance;
}

Edge edge(std::uint32_t kernel, std::uint32_t channel) { return {kernel, channel, 1}; }

TEST(RouteChannel, KeepsTheChannelWhereItIsNotMoved) {
  NetworkGraph graph;
  NodeId last = graph.add("input", Input{.channels = 4});
  std::vector<NodeId> chain{last};
  for (const Op& op :
       {Op(BatchNorm3d{.channels = 4}), Op(Relu{}), Op(MaxPool3d{.kernel = {2, 2, 2}}),
        Op(AvgPool3d{.kernel = {2, 2, 2}}), Op(GlobalAverage{})}) {
    last = graph.add(std::string(op_name(op)), op, {last});
    chain.push_back(last);
  }
  for (std::size_t i = 1; i < chain.size(); ++i) {
    for (int channel = 0; channel < 4; ++channel) {
      EXPECT_THAT(route_channel(graph, chain[i], channel),
                  ElementsAre(ChannelSource{chain[i - 1], channel}))
          << graph.node(chain[i]).name;
    }
  }
}

TEST(RouteChannel, TakesEveryAddend) {
  NetworkGraph graph;
  const NodeId input = graph.add("input", Input{.channels = 3});
  const NodeId relu = graph.add("relu", Relu{}, {input});
  const NodeId sum = graph.add("sum", Add{}, {relu, input});
  EXPECT_THAT(route_channel(graph, sum, 2),
              ElementsAre(ChannelSource{relu, 2}, ChannelSource{input, 2}));
}

TEST(RouteChannel, FindsTheBranchOfAConcatenation) {
  NetworkGraph graph;
  const NodeId input = graph.add("input", Input{.channels = 3});
  const NodeId a = graph.add("a", Conv3d{.in_channels = 3, .out_channels = 2}, {input});
  const NodeId b = graph.add("b", Conv3d{.in_channels = 3, .out_channels = 4}, {input});
  const NodeId joined = graph.add("joined", Concat{}, {a, input, b});
  EXPECT_THAT(route_channel(graph, joined, 0), ElementsAre(ChannelSource{a, 0}));
  EXPECT_THAT(route_channel(graph, joined, 1), ElementsAre(ChannelSource{a, 1}));
  EXPECT_THAT(route_channel(graph, joined, 2), ElementsAre(ChannelSource{input, 0}));
  EXPECT_THAT(route_channel(graph, joined, 4), ElementsAre(ChannelSource{input, 2}));
  EXPECT_THAT(route_channel(graph, joined, 5), ElementsAre(ChannelSource{b, 0}));
  EXPECT_THAT(route_channel(graph, joined, 8), ElementsAre(ChannelSource{b, 3}));
  EXPECT_THAT([&] { route_channel(graph, joined, 9); },
              ThrowsMessage<std::out_of_range>(AllOf(HasSubstr("'joined'"), HasSubstr("9"))));
}

TEST(RouteChannel, EndsAtTheInputAndRefusesWhatIsNoRouting) {
  NetworkGraph graph;
  const NodeId input = graph.add("input", Input{.channels = 3});
  const NodeId conv = graph.add("conv", Conv3d{.in_channels = 3, .out_channels = 2}, {input});
  EXPECT_THAT(route_channel(graph, input, 1), IsEmpty());
  EXPECT_THAT([&] { route_channel(graph, conv, 1); },
              ThrowsMessage<SystemError>(AllOf(HasSubstr("'conv'"), HasSubstr("Conv3d"))));
}

/// input(2) -> low(3) -> relu -> high(4) -> mean -> classes(2).
struct Chain {
  NetworkGraph graph;
  NodeId input, low, relu, high, mean, classes;
  std::vector<NodeRelevance> relevance;

  Chain() {
    input = graph.add("input", Input{.channels = 2});
    low = graph.add("low", Conv3d{.in_channels = 2, .out_channels = 3}, {input});
    relu = graph.add("relu", Relu{}, {low});
    high = graph.add("high", Conv3d{.in_channels = 3, .out_channels = 4}, {relu});
    mean = graph.add("mean", GlobalAverage{}, {high});
    classes = graph.add("classes", Linear{.in_features = 4, .out_features = 2}, {mean});
    relevance.resize(static_cast<std::size_t>(graph.size()));
    at(input).value = found(2, {0, 1});
    cover(low, 3, {0, 1, 2}, {edge(0, 0), edge(1, 1), edge(2, 0)});
    at(relu).value = found(3, {0, 1, 2});
    cover(high, 4, {0, 1, 2}, {edge(0, 0), edge(1, 1), edge(2, 2)});
    at(mean).value = found(4, {0, 2, 3});
    cover(classes, 2, {1}, {edge(1, 0), edge(1, 2)});
  }

  NodeRelevance& at(NodeId id) { return relevance[static_cast<std::size_t>(id)]; }
  void cover(NodeId id, std::size_t kernels, const std::vector<std::size_t>& which,
             std::vector<Edge> edges) {
    at(id).value = found(kernels, which);
    at(id).kernels = found(kernels, which);
    at(id).edges = std::move(edges);
  }
  void mark() { mark_reached(graph, classes, 1, relevance); }
};

TEST(MarkReached, FollowsEdgesFromTheClassToTheInput) {
  Chain chain;
  chain.mark();
  EXPECT_THAT(chain.at(chain.classes).kernels->reached, ElementsAre(0, 1));
  EXPECT_THAT(chain.at(chain.mean).value->reached, ElementsAre(1, 0, 1, 0))
      << "channel 3 is found, but no edge leads to it";
  EXPECT_THAT(chain.at(chain.high).kernels->reached, ElementsAre(1, 0, 1, 0))
      << "kernel 1 is found, but its channel is not; 3 is not found";
  EXPECT_THAT(chain.at(chain.relu).value->reached, ElementsAre(1, 0, 1));
  EXPECT_THAT(chain.at(chain.low).kernels->reached, ElementsAre(1, 0, 1));
  EXPECT_THAT(chain.at(chain.input).value->reached, ElementsAre(1, 0));
}

TEST(MarkReached, StopsAtKernelsThatAreNotFound) {
  Chain chain;
  chain.cover(chain.high, 4, {2}, {edge(2, 1)});
  chain.mark();
  EXPECT_THAT(chain.at(chain.high).kernels->reached, ElementsAre(0, 0, 1, 0));
  EXPECT_THAT(chain.at(chain.relu).value->reached, ElementsAre(0, 1, 0));
  EXPECT_THAT(chain.at(chain.low).kernels->reached, ElementsAre(0, 1, 0));
  EXPECT_THAT(chain.at(chain.input).value->reached, ElementsAre(0, 1));
}

TEST(MarkReached, ReachesNothingFromAClassWithoutEdges) {
  Chain chain;
  mark_reached(chain.graph, chain.classes, 0, chain.relevance);
  for (const NodeRelevance& known : chain.relevance) {
    if (known.value) {
      EXPECT_THAT(known.value->reached, testing::Each(0));
    }
    if (known.kernels) {
      EXPECT_THAT(known.kernels->reached, testing::Each(0));
    }
  }
}

TEST(MarkReached, EndsWhereThePyramidEnds) {
  Chain chain;
  chain.at(chain.low) = {};
  chain.at(chain.input) = {};
  chain.mark();
  EXPECT_THAT(chain.at(chain.relu).value->reached, ElementsAre(1, 0, 1));
  EXPECT_FALSE(chain.at(chain.low).kernels.has_value());
}

/// input(2) -> stem(3) -> branch(3), sum = branch + stem -> mean -> classes(2); the addition stands
/// alone or is fused into `branch`.
struct Residual {
  NetworkGraph graph;
  NodeId input, stem, branch, sum, mean, classes;
  std::vector<NodeRelevance> relevance;

  explicit Residual(bool fused) {
    input = graph.add("input", Input{.channels = 2});
    stem = graph.add("stem", Conv3d{.in_channels = 2, .out_channels = 3}, {input});
    if (fused) {
      branch = graph.add("branch", Conv3d{.in_channels = 3, .out_channels = 3, .addition = "sum"},
                         {stem, stem});
      sum = branch;
    } else {
      branch = graph.add("branch", Conv3d{.in_channels = 3, .out_channels = 3}, {stem});
      sum = graph.add("sum", Add{}, {branch, stem});
    }
    mean = graph.add("mean", GlobalAverage{}, {sum});
    classes = graph.add("classes", Linear{.in_features = 3, .out_features = 2}, {mean});
    relevance.resize(static_cast<std::size_t>(graph.size()));
    at(input).value = found(2, {0, 1});
    at(stem).value = found(3, {0, 1, 2});
    at(stem).kernels = found(3, {0, 1, 2});
    at(stem).edges = {edge(0, 0), edge(1, 1), edge(2, 1)};
    at(branch).kernels = found(3, {0});
    at(branch).value = found(3, {0});
    at(branch).edges = {edge(0, 2)};
    at(sum).value = found(3, {0, 1});
    at(sum).addends = {found(3, {0}), found(3, {1})};
    at(mean).value = found(3, {0, 1});
    at(classes).value = found(2, {0});
    at(classes).kernels = found(2, {0});
    at(classes).edges = {edge(0, 0), edge(0, 1)};
  }

  NodeRelevance& at(NodeId id) { return relevance[static_cast<std::size_t>(id)]; }
};

class MarkReachedThroughAdditions : public testing::TestWithParam<bool> {};

TEST_P(MarkReachedThroughAdditions, GoesOnThroughEachAddendThatIsFound) {
  Residual net(GetParam());
  mark_reached(net.graph, net.classes, 0, net.relevance);
  EXPECT_THAT(net.at(net.sum).value->reached, ElementsAre(1, 1, 0));
  EXPECT_THAT(net.at(net.sum).addends[0].reached, ElementsAre(1, 0, 0));
  EXPECT_THAT(net.at(net.sum).addends[1].reached, ElementsAre(0, 1, 0));
  EXPECT_THAT(net.at(net.branch).kernels->reached, ElementsAre(1, 0, 0));
  EXPECT_THAT(net.at(net.stem).kernels->reached, ElementsAre(0, 1, 1))
      << "1 through the shortcut, 2 through the branch; 0 has neither";
  EXPECT_THAT(net.at(net.input).value->reached, ElementsAre(0, 1));
}

TEST_P(MarkReachedThroughAdditions, RoutesThroughOnesThatThePyramidDoesNotCover) {
  Residual net(GetParam());
  net.at(net.branch) = {};
  net.at(net.sum) = {};
  mark_reached(net.graph, net.classes, 0, net.relevance);
  EXPECT_THAT(net.at(net.stem).kernels->reached, ElementsAre(1, 1, 0))
      << "the shortcut is a routing, though nothing is known of its addends";
}

INSTANTIATE_TEST_SUITE_P(FusedOrNot, MarkReachedThroughAdditions, testing::Bool(),
                         [](const auto& info) { return info.param ? "Fused" : "Alone"; });

TEST(MarkReached, GoesIntoTheBranchesOfAConcatenation) {
  NetworkGraph graph;
  const NodeId input = graph.add("input", Input{.channels = 2});
  const NodeId a = graph.add("a", Conv3d{.in_channels = 2, .out_channels = 2}, {input});
  const NodeId b = graph.add("b", Conv3d{.in_channels = 2, .out_channels = 3}, {input});
  const NodeId joined = graph.add("joined", Concat{}, {a, b});
  const NodeId mean = graph.add("mean", GlobalAverage{}, {joined});
  const NodeId classes = graph.add("classes", Linear{.in_features = 5, .out_features = 1}, {mean});
  std::vector<NodeRelevance> relevance(static_cast<std::size_t>(graph.size()));
  const auto at = [&](NodeId id) -> NodeRelevance& {
    return relevance[static_cast<std::size_t>(id)];
  };
  at(input).value = found(2, {0, 1});
  at(a).kernels = at(a).value = found(2, {0, 1});
  at(a).edges = {edge(0, 0), edge(1, 1)};
  at(b).kernels = at(b).value = found(3, {0, 1, 2});
  at(b).edges = {edge(0, 0), edge(2, 1)};
  at(mean).value = found(5, {1, 2});
  at(classes).kernels = at(classes).value = found(1, {0});
  at(classes).edges = {edge(0, 1), edge(0, 2)};
  mark_reached(graph, classes, 0, relevance);
  EXPECT_THAT(at(a).kernels->reached, ElementsAre(0, 1));
  EXPECT_THAT(at(b).kernels->reached, ElementsAre(1, 0, 0));
  EXPECT_THAT(at(input).value->reached, ElementsAre(1, 1));
}

}  // namespace
}  // namespace cfp
