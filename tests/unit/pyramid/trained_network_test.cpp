// What is only true of a network that has learnt something: found channels matter to the class, and
// two classes of one clip have different ones. The demo network and its held-out clips, drawn in
// memory.
#include <algorithm>
#include <cmath>
#include <iostream>
#include <limits>
#include <numeric>
#include <random>

#include <ATen/TensorOperators.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros_like.h>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "datasets/moving_shapes.h"
#include "stages/core/preprocess.h"
#include "stages/network/checkpoint/load_network.h"
#include "stages/pyramid/scorer.h"
#include "stages/pyramid/selection.h"
#include "tests/unit/pyramid/test_networks.h"

namespace cfp {
namespace {

using std::int64_t;

constexpr int kClips = 60;  // six of each class

struct Demo {
  Network network;
  at::Tensor clips;  ///< [kClips, 3, 16, 64, 64], normalised
  std::vector<int> labels;
};

const Demo& demo() {
  static const Demo demo = [] {
    Demo d;
    d.network = load_network(
        {.checkpoint = std::string(CFP_DEMO_FOLDER) + "/resnet3d_moving_shapes.safetensors"});
    const PreprocessOptions& p = preprocess_preset(d.network.preset);
    const MovingShapesOptions options{.count = 500, .seed = 1, .split = "test"};
    std::vector<at::Tensor> clips;
    for (int i = 0; i < kClips; ++i) {
      Frames frames = render_moving_shapes(options, i);
      const at::Tensor bytes = at::from_blob(
          frames.rgb_thwc.data(), {frames.length, frames.height, frames.width, 3}, at::kByte);
      const at::Tensor scaled =
          bytes.to(at::kFloat) / 255 * (p.range_max - p.range_min) + p.range_min;
      clips.push_back(scaled.permute({3, 0, 1, 2}));
      d.labels.push_back(moving_shapes_label(i));
    }
    d.clips = at::stack(clips);
    return d;
  }();
  return demo;
}

/// The target's log-odds, from logits [B, classes]: y_c - ln sum over the others of e^y.
std::vector<double> log_odds(const at::Tensor& logits, const std::vector<int>& classes) {
  std::vector<double> result;
  for (std::size_t b = 0; b < classes.size(); ++b) {
    at::Tensor row = logits[static_cast<int64_t>(b)].to(at::kDouble).clone();
    const double own = row[classes[b]].item<double>();
    row[classes[b]].fill_(-std::numeric_limits<double>::infinity());
    result.push_back(own - row.logsumexp(0).item<double>());
  }
  return result;
}

double mean(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

double probability(const std::vector<double>& odds) {
  double sum = 0;
  for (const double l : odds) sum += 1 / (1 + std::exp(-l));
  return sum / static_cast<double>(odds.size());
}

/// Runs on from a value that has been changed: all that depends on it, in order.
at::Tensor logits_after(const Executor& executor, const Trace& trace, NodeId changed,
                        const at::Tensor& value) {
  const NetworkGraph& graph = executor.graph();
  std::vector<at::Tensor> values = trace.values;
  std::vector<bool> dirty(test::at_node(graph.size()), false);
  values[test::at_node(changed)] = value;
  dirty[test::at_node(changed)] = true;
  for (NodeId id = changed + 1; id < graph.size(); ++id) {
    const auto& inputs = graph.node(id).inputs;
    if (std::ranges::none_of(inputs, [&](NodeId i) { return dirty[test::at_node(i)]; })) continue;
    values[test::at_node(id)] = executor.run_node(id, values);
    dirty[test::at_node(id)] = true;
  }
  return values.back().flatten(1);
}

class TrainedNetwork : public testing::Test {
 protected:
  TrainedNetwork()
      : executor_(demo().network, {}),
        graph_(executor_.graph()),
        plan_(plan_pyramid(graph_, options_)),
        trace_(executor_.forward(demo().clips, true)) {}

  std::vector<std::vector<NodeRelevance>> explain(const std::vector<int>& classes) const {
    at::Tensor weights = at::zeros_like(trace_.logits);
    for (std::size_t b = 0; b < classes.size(); ++b) {
      weights[static_cast<int64_t>(b)][classes[b]].fill_(1);
    }
    const BoundedInput input(
        InputBounds{{-1, -1, -1}, {1, 1, 1}});  // tubes read it, the scorer doesn't
    const std::vector<PyramidRequest> requests{{options_, plan_}};
    return make_scorer("gradient")
        ->score({executor_, demo().network, trace_, input, requests, {}}, {weights, classes})[0]
        .relevance;
  }

  /// [clips, C]: 1 where a channel is chosen.
  using Choice = std::vector<std::vector<std::int64_t>>;

  /// Log-odds of the labels with the chosen channels of a value at zero, or with only them left.
  std::vector<double> odds_after(NodeId id, const Choice& choice, bool keep) const {
    at::Tensor mask = keep ? at::zeros_like(trace_.values[test::at_node(id)])
                           : at::ones_like(trace_.values[test::at_node(id)]);
    for (std::size_t clip = 0; clip < choice.size(); ++clip) {
      for (const std::int64_t channel : choice[clip]) {
        mask[static_cast<int64_t>(clip)][channel].fill_(keep ? 1 : 0);
      }
    }
    return log_odds(logits_after(executor_, trace_, id, trace_.values[test::at_node(id)] * mask),
                    demo().labels);
  }

  const ExplainOptions options_{.depth = 0, .edges = false, .tubes = TubeKind::kNone};
  const Executor executor_;
  const NetworkGraph& graph_;
  const PyramidPlan plan_;
  const Trace trace_;
};

TEST_F(TrainedNetwork, KnowsItsClips) {
  int right = 0;
  for (int clip = 0; clip < kClips; ++clip) {
    right +=
        trace_.logits[clip].argmax().item<int>() == demo().labels[static_cast<std::size_t>(clip)];
  }
  std::cout << fmt::format("top-1 on {} clips before any video coding: {}\n", kClips, right);
  // 99.2 % on all 500, coded; a wrong normalisation or a wrong label order would cost most of it.
  EXPECT_GE(right, kClips * 9 / 10);
}

TEST_F(TrainedNetwork, NeedsTheFoundChannelsMoreThanOthers) {
  const auto relevance = explain(demo().labels);
  const std::vector<double> whole = log_odds(trace_.logits, demo().labels);
  std::mt19937 random(1);
  std::cout << fmt::format(
      "log-odds (probability) of the label, means of {} clips; whole network: "
      "{:.2f} ({:.3f})\n",
      kClips, mean(whole), probability(whole));
  for (const char* layer :
       {"layer4.0.conv1", "layer3.1.conv1", "layer3.0.conv1", "layer2.1.conv1", "layer2.0.conv1"}) {
    SCOPED_TRACE(layer);
    const NodeId entering = graph_.node(graph_.find(layer)).inputs[0];
    Choice found, others;
    double count = 0;
    for (int clip = 0; clip < kClips; ++clip) {
      const auto& known = relevance[static_cast<std::size_t>(clip)][test::at_node(entering)].value;
      found.push_back(found_channels(*known));
      std::vector<std::int64_t> all = test::all_of(graph_.channels(entering)), drawn;
      std::ranges::sample(all, std::back_inserter(drawn),
                          static_cast<std::ptrdiff_t>(found.back().size()), random);
      others.push_back(drawn);
      count += static_cast<double>(found.back().size()) / kClips;
    }
    const auto zeroed = odds_after(entering, found, false);
    const auto zeroed_random = odds_after(entering, others, false);
    const auto kept = odds_after(entering, found, true);
    const auto kept_random = odds_after(entering, others, true);
    std::cout << fmt::format(
        "entering {}: {:.1f} of {} channels found; zeroed {:.2f} ({:.3f}), random {:.2f} ({:.3f}); "
        "kept alone {:.2f} ({:.3f}), random {:.2f} ({:.3f})\n",
        layer, count, graph_.channels(entering), mean(zeroed), probability(zeroed),
        mean(zeroed_random), probability(zeroed_random), mean(kept), probability(kept),
        mean(kept_random), probability(kept_random));
    EXPECT_LT(count, 0.6 * graph_.channels(entering)) << "a choice that leaves out nothing";
    // The method measured drops ten times those of random channels; a tenth of a unit of log-odds
    // is a standard error of such a mean.
    EXPECT_LT(mean(zeroed), mean(zeroed_random) - 0.5);
    EXPECT_GT(mean(kept), mean(kept_random) + 0.5);
    EXPECT_LT(probability(zeroed), probability(zeroed_random));
    EXPECT_GT(probability(kept), probability(kept_random));
  }
}

/// Rank correlation (Spearman) of two lists without ties to speak of.
double rank_correlation(const std::vector<float>& a, const std::vector<float>& b) {
  const auto ranks = [](const std::vector<float>& values) {
    std::vector<std::size_t> order(values.size());
    std::iota(order.begin(), order.end(), 0);
    std::ranges::stable_sort(order, {}, [&](std::size_t i) { return values[i]; });
    std::vector<double> rank(values.size());
    for (std::size_t r = 0; r < order.size(); ++r) rank[order[r]] = static_cast<double>(r);
    return rank;
  };
  const std::vector<double> x = ranks(a), y = ranks(b);
  const double middle = (static_cast<double>(x.size()) - 1) / 2;
  double xy = 0, xx = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    xy += (x[i] - middle) * (y[i] - middle);
    xx += (x[i] - middle) * (x[i] - middle);
  }
  return xy / xx;
}

TEST_F(TrainedNetwork, TellsTheClassesOfAClipApartBelowTheClassifier) {
  std::vector<int> next;
  for (const int label : demo().labels) next.push_back((label + 1) % 10);
  const auto of_label = explain(demo().labels), of_next = explain(next);
  for (const PyramidPlan::Layer& layer : plan_.layers) {
    if (layer.entering == 0) continue;  // three channels have no ranks to speak of
    SCOPED_TRACE(graph_.node(layer.node).name);
    double sum = 0;
    for (std::size_t clip = 0; clip < kClips; ++clip) {
      const auto relevance = [&](const NodeRelevance& known) {
        std::vector<float> r = known.value->positive;
        for (std::size_t c = 0; c < r.size(); ++c) r[c] -= known.value->negative[c];
        return r;
      };
      sum += rank_correlation(relevance(of_label[clip][test::at_node(layer.entering)]),
                              relevance(of_next[clip][test::at_node(layer.entering)]));
    }
    std::cout << fmt::format("R entering {} for two classes of a clip: rank correlation {:.2f}\n",
                             graph_.node(layer.node).name, sum / kClips);
    // The method asks for less than 0.95: a scorer that does not see the class has 0.99 to 1.
    EXPECT_LT(sum / kClips, 0.95);
  }
}

}  // namespace
}  // namespace cfp
