// The conservation laws of `excitation` and `response`, and what all scorers promise
// (docs/method.md, section 2).
#include <algorithm>
#include <cmath>

#include <ATen/TensorOperators.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros_like.h>
#include <gtest/gtest.h>

#include "stages/core/errors.h"
#include "stages/network/builders.h"
#include "stages/network/tap_means.h"
#include "stages/pyramid/edges.h"
#include "stages/pyramid/scorer.h"
#include "stages/pyramid/selection.h"
#include "tests/support/random_graphs.h"
#include "tests/unit/pyramid/test_networks.h"

namespace cfp {
namespace {

using std::int64_t;

// Rounding of some 1e4 numbers in float64; in float32 after every layer on the way. Both laws add
// numbers of one sign, so nothing cancels.
constexpr double kDoubleTolerance = 1e-9;
constexpr double kFloatTolerance = 1e-4;

const InputBounds kBounds{{-1, -1, -1}, {1, 1, 1}};

std::vector<bool> everything(const NetworkGraph& graph) {
  return std::vector<bool>(static_cast<std::size_t>(graph.size()), true);
}

void expect_close(const at::Tensor& found, const at::Tensor& expected, double tolerance) {
  const double unit = expected.abs().max().item<double>();
  ASSERT_LE((found.to(at::kDouble) - expected.to(at::kDouble)).abs().max().item<double>(),
            tolerance * unit);
}

// ---- excitation ------------------------------------------------------------------------------

/// Scores of all kernels and channels of a layer that relevance went through.
at::Tensor all_scores(const LayerExcitation& layer, int64_t clip) {
  if (layer.scores.defined()) return layer.scores[clip];
  return edge_scores(
      *layer.weights,
      {layer.share[clip].permute({1, 2, 3, 0}).contiguous(), test::all_of(layer.share.size(1)),
       layer.seen.narrow(0, clip, 1), test::all_of(layer.seen.size(1))});
}

/// Every kernel's relevance is shared out among its channels, except where nothing was seen; and
/// what a tensor has is what its readers sent.
void expect_excitation_conserved(const test::TestNetwork& made, at::ScalarType type) {
  const double tolerance = type == at::kDouble ? kDoubleTolerance : kFloatTolerance;
  const Executor executor(made.network, {.dtype = type});
  const NetworkGraph& graph = executor.graph();
  const Trace trace = executor.forward(test::formula_clips(made.clip_size, 2, 1), true);
  const BoundedInput input(kBounds);
  const std::vector<int> classes{1, 0};
  std::vector<at::Tensor> sent(test::at_node(graph.size()));  // by layers alone
  int layers = 0;
  const ExcitationVisitor visit{
      .value =
          [&](NodeId id, const at::Tensor& relevance) {
            EXPECT_GE(relevance.min().item<double>(), 0);
            const auto readers = graph.readers(id);
            const bool layers_alone = std::ranges::all_of(readers, [&](NodeId reader) {
              const Node& node = graph.node(reader);  // conv(x) + x reads x twice
              return is_layer(node) && std::ranges::count(node.inputs, id) == 1 &&
                     node.inputs[0] == id;
            });
            if (!layers_alone || !sent[test::at_node(id)].defined()) return;
            SCOPED_TRACE("value of " + graph.node(id).name);
            expect_close(sent[test::at_node(id)], relevance.sum({2, 3, 4}), tolerance);
          },
      .layer =
          [&](NodeId id, const LayerExcitation& layer) {
            SCOPED_TRACE("layer " + graph.node(id).name);
            ++layers;
            std::vector<at::Tensor> below;
            for (int64_t clip = 0; clip < 2; ++clip) {
              const at::Tensor scores = all_scores(layer, clip);
              const at::Tensor led_on = (layer.relevance * (layer.share > 0))[clip].sum({1, 2, 3});
              expect_close(scores.sum(1), led_on, tolerance);
              below.push_back(scores.sum(0));
            }
            at::Tensor& slot = sent[test::at_node(graph.node(id).inputs[0])];
            const at::Tensor both = at::stack(below);
            slot = slot.defined() ? slot + both : both;
          },
      .scores_wanted =
          [](NodeId, const at::Tensor& relevance) {
            const auto kernels = static_cast<std::size_t>(relevance.size(1));
            return KernelMasks(2, std::vector<std::uint8_t>(kernels, 1));
          }};
  walk_excitation(executor, trace, classes, input, plan_walk(graph, everything(graph)), visit);
  EXPECT_GT(layers, 1);
}

class ScorerLaws : public testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Architectures, ScorerLaws, testing::ValuesIn(architecture_names()),
                         [](const auto& info) { return info.param; });

TEST_P(ScorerLaws, ExcitationIsSharedOutWhole) {
  const test::TestNetwork made = test::reduced_architecture(GetParam());
  expect_excitation_conserved(made, at::kDouble);
  expect_excitation_conserved(made, at::kFloat);
}

TEST_P(ScorerLaws, ExcitationIsSharedOutWholeAtFullWidth) {
  expect_excitation_conserved(test::full_architecture(GetParam()), at::kFloat);
}

TEST(ScorerLaws, ExcitationIsSharedOutWholeInRandomNetworks) {
  for (std::uint64_t seed = 0; seed < test::kRandomNetworks; ++seed) {
    const test::TestNetwork made = test::random_network(seed);
    SCOPED_TRACE("seed " + std::to_string(seed) + "\n" + test::describe(made.network.graph));
    expect_excitation_conserved(made, at::kDouble);
    expect_excitation_conserved(made, at::kFloat);
    if (testing::Test::HasFailure()) return;
  }
}

// ---- response --------------------------------------------------------------------------------

/// Sum of E over channels, with the bias, is the mean of what the layer gives.
void expect_response_conserved(const test::TestNetwork& made, at::ScalarType type) {
  const double tolerance = type == at::kDouble ? kDoubleTolerance : kFloatTolerance;
  const Executor executor(made.network, {.dtype = type, .optimise = false});
  const NetworkGraph& graph = executor.graph();
  const Trace trace = executor.forward(test::formula_clips(made.clip_size, 2, 1), true);
  for (NodeId id = 0; id < graph.size(); ++id) {
    if (!is_layer(graph.node(id))) continue;
    SCOPED_TRACE("layer " + graph.node(id).name);
    const Convolution& layer = executor.layer(id);
    const at::Tensor& x = trace.values[test::at_node(graph.node(id).inputs[0])];
    const at::Tensor means = tap_means(x, window_of(layer.op()));
    const int64_t groups = layer.op().groups;
    const at::Tensor weight = layer.weight().to(at::kDouble).unflatten(0, {groups, -1}).flatten(2);
    for (int64_t clip = 0; clip < 2; ++clip) {
      at::Tensor mean =
          weight.matmul(means[clip].unflatten(0, {groups, -1}).flatten(1).unsqueeze(2)).flatten();
      if (layer.bias().defined()) mean = mean + layer.bias();
      expect_close(mean, trace.values[test::at_node(id)][clip].to(at::kDouble).mean({1, 2, 3}),
                   tolerance);
    }
  }
}

TEST_P(ScorerLaws, ResponsesAddUpToTheMean) {
  const test::TestNetwork made = test::reduced_architecture(GetParam());
  expect_response_conserved(made, at::kDouble);
  expect_response_conserved(made, at::kFloat);
}

TEST_P(ScorerLaws, ResponsesAddUpToTheMeanAtFullWidth) {
  expect_response_conserved(test::full_architecture(GetParam()), at::kFloat);
}

TEST(ScorerLaws, ResponsesAddUpToTheMeanInRandomNetworks) {
  for (std::uint64_t seed = 0; seed < test::kRandomNetworks; ++seed) {
    const test::TestNetwork made = test::random_network(seed);
    SCOPED_TRACE("seed " + std::to_string(seed) + "\n" + test::describe(made.network.graph));
    expect_response_conserved(made, at::kDouble);
    expect_response_conserved(made, at::kFloat);
    if (testing::Test::HasFailure()) return;
  }
}

TEST_P(ScorerLaws, ResponseSharesOneWhole) {
  // With everything found, what a layer's kernels have goes to its channels, or is lost.
  const test::TestNetwork made = test::reduced_architecture(GetParam());
  const Executor executor(made.network, {});
  const ExplainOptions options{.method = "response", .threshold = 0, .depth = 0};
  const PyramidPlan plan = plan_pyramid(executor.graph(), options);
  const std::vector<PyramidRequest> requests{{options, plan}};
  const auto scorer = make_scorer("response");
  const Trace trace = executor.forward(test::formula_clips(made.clip_size, 1, 1),
                                       scorer->needs(executor.graph(), plan.wanted));
  const BoundedInput input(kBounds);
  const Scores scores =
      scorer->score({executor, made.network, trace, input, requests, {}}, {at::Tensor(), {2}})[0];
  const auto total = [](const ChannelRelevance& relevance) {
    double sum = 0;
    for (const float score : relevance.score) sum += score;
    return sum;
  };
  // Kernels that see nothing positive lose what they had.
  EXPECT_GT(total(*scores.relevance[0][0].value), 0);
  EXPECT_LE(total(*scores.relevance[0][0].value), 1 + 1e-5);
  const NodeId below = executor.graph().node(plan.classifier).inputs[0];
  EXPECT_NEAR(total(*scores.relevance[0][test::at_node(below)].value), 1, 1e-5);
}

// ---- all scorers -----------------------------------------------------------------------------

TEST(MakeScorer, ListsNamesWhereOneIsUnknown) {
  EXPECT_EQ(scorer_names(),
            (std::vector<std::string>{"gradient", "excitation", "response", "published"}));
  EXPECT_THROW(make_scorer("grad"), ConfigError);
}

class AllScorers : public testing::TestWithParam<std::tuple<std::string, std::string>> {};
INSTANTIATE_TEST_SUITE_P(Architectures, AllScorers,
                         testing::Combine(testing::ValuesIn(scorer_names()),
                                          testing::ValuesIn(architecture_names())),
                         [](const auto& info) {
                           return std::get<0>(info.param) + "_" + std::get<1>(info.param);
                         });

void expect_same(const ChannelRelevance& one, const ChannelRelevance& other, double tolerance) {
  EXPECT_EQ(one.found, other.found);
  EXPECT_EQ(one.reached, other.reached);
  const float largest =
      std::max(1e-30F, std::ranges::max(other.score, {}, [](float s) { return std::abs(s); }));
  for (std::size_t c = 0; c < one.channels(); ++c) {
    EXPECT_NEAR(one.score[c], other.score[c], tolerance * std::abs(largest)) << "channel " << c;
  }
}

/// Clips of a batch have the pyramids that each has alone.
void expect_clips_apart(const test::TestNetwork& made, const std::string& method,
                        at::ScalarType type) {
  const Executor executor(made.network, {.dtype = type});
  const NetworkGraph& graph = executor.graph();
  const ExplainOptions options{.method = method, .threshold = 0.4, .depth = 0};
  const PyramidPlan plan = plan_pyramid(graph, options);
  const std::vector<PyramidRequest> requests{{options, plan}};
  const auto scorer = make_scorer(method);
  const BoundedInput input(kBounds);
  const at::Tensor clips = test::formula_clips(made.clip_size, 3, 1);
  const auto score = [&](const at::Tensor& batch, const std::vector<int>& classes) {
    const Trace trace = executor.forward(batch, scorer->needs(graph, plan.wanted));
    at::Tensor weights = at::zeros_like(trace.logits);
    for (std::size_t b = 0; b < classes.size(); ++b) {
      weights[static_cast<int64_t>(b)][classes[b]].fill_(1);
    }
    return scorer
        ->score({executor, made.network, trace, input, requests, {}}, {weights, classes})[0]
        .relevance;
  };
  const std::vector<int> classes{0, made.network.num_classes() - 1, 1};
  const auto together = score(clips, classes);
  for (std::size_t b = 0; b < classes.size(); ++b) {
    const auto alone = score(clips.narrow(0, static_cast<int64_t>(b), 1), {classes[b]})[0];
    for (const PyramidPlan::Layer& layer : plan.layers) {
      SCOPED_TRACE(method + ", " + graph.node(layer.node).name);
      const NodeRelevance& mine = together[b][test::at_node(layer.node)];
      const NodeRelevance& other = alone[test::at_node(layer.node)];
      // oneDNN may choose other kernels for another batch: sums in another order.
      expect_same(*mine.kernels, *other.kernels, 1e-4);
      expect_same(*together[b][test::at_node(layer.entering)].value,
                  *alone[test::at_node(layer.entering)].value, 1e-4);
      ASSERT_EQ(mine.edges.size(), other.edges.size());
    }
  }
}

TEST_P(AllScorers, GiveAClipWhatItGetsAlone) {
  const auto& [method, architecture] = GetParam();
  expect_clips_apart(test::reduced_architecture(architecture), method, at::kFloat);
}

TEST_P(AllScorers, GiveAClipWhatItGetsAloneAtFullWidth) {
  const auto& [method, architecture] = GetParam();
  expect_clips_apart(test::full_architecture(architecture), method, at::kFloat);
}

TEST(AllScorers, GiveAClipWhatItGetsAloneInRandomNetworks) {
  for (std::uint64_t seed = 0; seed < test::kRandomNetworks; ++seed) {
    const test::TestNetwork made = test::random_network(seed);
    SCOPED_TRACE("seed " + std::to_string(seed) + "\n" + test::describe(made.network.graph));
    for (const std::string& method : scorer_names()) expect_clips_apart(made, method, at::kDouble);
    if (testing::Test::HasFailure()) return;
  }
}

TEST_P(AllScorers, JoinFoundKernelsToFoundChannels) {
  const auto& [method, architecture] = GetParam();
  const test::TestNetwork made = test::reduced_architecture(architecture);
  const Executor executor(made.network, {});
  const NetworkGraph& graph = executor.graph();
  const ExplainOptions options{.method = method, .threshold = 0.4, .depth = 0};
  const PyramidPlan plan = plan_pyramid(graph, options);
  const std::vector<PyramidRequest> requests{{options, plan}};
  const auto scorer = make_scorer(method);
  const BoundedInput input(kBounds);
  const Trace trace = executor.forward(test::formula_clips(made.clip_size, 1, 1),
                                       scorer->needs(graph, plan.wanted));
  at::Tensor weights = at::zeros_like(trace.logits);
  weights[0][1].fill_(1);
  const Scores scores =
      scorer->score({executor, made.network, trace, input, requests, {}}, {weights, {1}})[0];
  std::size_t edges = 0;
  for (const PyramidPlan::Layer& layer : plan.layers) {
    const NodeRelevance& known = scores.relevance[0][test::at_node(layer.node)];
    const ChannelRelevance& channels = *scores.relevance[0][test::at_node(layer.entering)].value;
    const Conv3d& op = executor.layer(layer.node).op();
    for (const Edge& edge : known.edges) {
      EXPECT_TRUE(known.kernels->found[edge.kernel]);
      EXPECT_TRUE(channels.found[edge.channel]);
      EXPECT_EQ(static_cast<int>(edge.kernel) / (op.out_channels / op.groups),
                static_cast<int>(edge.channel) / (op.in_channels / op.groups));
      ++edges;
    }
  }
  EXPECT_GT(edges, plan.layers.size());
  const auto& base = *scores.relevance[0][0].value;
  EXPECT_TRUE(std::ranges::any_of(base.reached, [](auto r) { return r != 0; }))
      << "no chain of edges leads to R, G or B";
}

}  // namespace
}  // namespace cfp
