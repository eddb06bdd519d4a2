#include "stages/pyramid/explainer.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "stages/core/errors.h"
#include "stages/network/builders.h"
#include "tests/unit/pyramid/test_networks.h"

namespace cfp {
namespace {

using ::testing::AllOf;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::testing::ThrowsMessage;

Explainer make_explainer(const Network& network, const ExplainOptions& options) {
  return Explainer(std::make_shared<const Network>(network), preprocess_preset("demo"), options,
                   {});
}

std::vector<Clip> clips_for(const test::TestNetwork& made, int count) {
  std::vector<Clip> clips;
  for (int i = 0; i < count; ++i) {
    clips.push_back(test::formula_frames(made.clip_size, static_cast<std::uint64_t>(i) + 1, i));
    clips.back().request.label = i % 5;
    clips.back().request.media.path = "/clips/" + std::to_string(i);
    clips.back().frame_times_s = {0, 0.5};
    clips.back().view = i;
    clips.back().decode_s = 0.25;
  }
  return clips;
}

const ClipResult& result_of(const ExplainOutcome& outcome) { return std::get<ClipResult>(outcome); }

ClipResult explain_one(Explainer& explainer, const Clip& clip) {
  return result_of(explainer.explain(std::span(&clip, 1)).at(0));
}

void expect_near(const std::vector<float>& a, const std::vector<float>& b, double tolerance,
                 const char* what) {
  ASSERT_EQ(a.size(), b.size()) << what;
  double unit = 0;
  for (const float value : b) unit = std::max(unit, std::abs(static_cast<double>(value)));
  for (std::size_t i = 0; i < a.size(); ++i) {
    ASSERT_NEAR(a[i], b[i], tolerance * unit) << what << " " << i;
  }
}

void expect_same(const ChannelRelevance& a, const ChannelRelevance& b, double tolerance) {
  expect_near(a.positive, b.positive, tolerance, "P");
  expect_near(a.negative, b.negative, tolerance, "N");
  EXPECT_EQ(a.found, b.found);
  EXPECT_EQ(a.reached, b.reached);
}

void expect_same_layers(const Pyramid& a, const Pyramid& b, std::size_t layers, double tolerance) {
  for (std::size_t l = 0; l < layers; ++l) {
    const PyramidLayer &x = a.layers[l], &y = b.layers[l];
    SCOPED_TRACE("layer " + y.name);
    ASSERT_EQ(x.name, y.name);
    EXPECT_EQ(x.depth, y.depth);
    expect_same(x.kernels, y.kernels, tolerance);
    expect_same(x.channels, y.channels, tolerance);
    ASSERT_EQ(x.edges.size(), y.edges.size());
    for (std::size_t e = 0; e < x.edges.size(); ++e) {
      EXPECT_EQ(x.edges[e].kernel, y.edges[e].kernel);
      EXPECT_EQ(x.edges[e].channel, y.edges[e].channel);
      EXPECT_NEAR(x.edges[e].score, y.edges[e].score,
                  tolerance * std::max(1e-3F, std::abs(y.edges[e].score)));
    }
    expect_near(x.tube.values, y.tube.values, tolerance, "tube");
  }
}

void expect_same(const ClipResult& a, const ClipResult& b, double tolerance) {
  EXPECT_EQ(a.clip_id, b.clip_id);
  EXPECT_EQ(a.prediction, b.prediction);
  expect_near(a.logits, b.logits, tolerance, "logit");
  const Pyramid &x = a.pyramids.at(0), &y = b.pyramids.at(0);
  EXPECT_EQ(x.target.class_index, y.target.class_index);
  ASSERT_EQ(x.layers.size(), y.layers.size());
  expect_same_layers(x, y, y.layers.size(), tolerance);
  ASSERT_EQ(x.additions.size(), y.additions.size());
  for (std::size_t i = 0; i < x.additions.size(); ++i) {
    SCOPED_TRACE("addition " + y.additions[i].name);
    EXPECT_EQ(x.additions[i].name, y.additions[i].name);
    EXPECT_EQ(x.additions[i].addend_names, y.additions[i].addend_names);
    expect_same(x.additions[i].sum, y.additions[i].sum, tolerance);
    for (std::size_t k : {0U, 1U}) {
      expect_same(x.additions[i].addends[k], y.additions[i].addends[k], tolerance);
    }
  }
}

// Sums over another number of clips may be cut into other pieces: rounding of float32, not more.
constexpr double kBatchTolerance = 1e-5;

class ExplainerOf : public testing::TestWithParam<std::string> {};

TEST_P(ExplainerOf, GivesEachClipOfABatchWhatItGetsAlone) {
  const test::TestNetwork made = test::reduced_architecture(GetParam());
  Explainer explainer = make_explainer(made.network, {.depth = 0});
  const std::vector<Clip> clips = clips_for(made, 3);
  const std::vector<ExplainOutcome> together = explainer.explain(clips);
  ASSERT_THAT(together, SizeIs(3));
  for (std::size_t i = 0; i < clips.size(); ++i) {
    SCOPED_TRACE("clip " + std::to_string(i));
    expect_same(result_of(together[i]), explain_one(explainer, clips[i]), kBatchTolerance);
  }
}

TEST_P(ExplainerOf, ShowsTheSameLayersWhateverTheDepth) {
  const test::TestNetwork made = test::reduced_architecture(GetParam());
  Explainer whole = make_explainer(made.network, {.depth = 0});
  Explainer top = make_explainer(made.network, {.depth = 3});
  const Clip clip = clips_for(made, 1)[0];
  const Pyramid all = explain_one(whole, clip).pyramids.at(0);
  const Pyramid three = explain_one(top, clip).pyramids.at(0);
  EXPECT_GT(all.layers.size(), three.layers.size());
  for (std::size_t l = 0; l < all.layers.size(); ++l) {
    EXPECT_EQ(all.layers[l].depth <= 3, l < three.layers.size());
  }
  expect_same_layers(three, all, three.layers.size(), 0);
}

TEST_P(ExplainerOf, SharesItsNetworkWithReplicasOnOtherThreads) {
  const test::TestNetwork made = test::reduced_architecture(GetParam());
  Explainer first = make_explainer(made.network, {.depth = 0});
  const std::vector<Clip> clips = clips_for(made, 2);
  Explainer expected_by = make_explainer(made.network, {.depth = 0});
  const std::vector<ExplainOutcome> expected = expected_by.explain(clips);
  Explainer second = first.replica();
  std::vector<ExplainOutcome> by_first, by_second;
  {
    // Neither has run: packed weights are made by whoever comes first.
    const std::jthread other([&] { by_second = second.explain(clips); });
    by_first = first.explain(clips);
  }
  for (std::size_t i = 0; i < clips.size(); ++i) {
    SCOPED_TRACE("clip " + std::to_string(i));
    expect_same(result_of(by_first[i]), result_of(expected[i]), 0);
    expect_same(result_of(by_second[i]), result_of(expected[i]), 0);
  }
}

INSTANTIATE_TEST_SUITE_P(Architectures, ExplainerOf, testing::ValuesIn(architecture_names()),
                         [](const auto& info) { return info.param; });

class ExplainerTest : public testing::Test {
 protected:
  const test::TestNetwork made_ = test::reduced_architecture("resnet50_3d");
};

TEST_F(ExplainerTest, CarriesWhatIsKnownOfTheClip) {
  Explainer explainer = make_explainer(made_.network, {});
  const std::vector<Clip> clips = clips_for(made_, 2);
  const std::vector<ExplainOutcome> outcomes = explainer.explain(clips);
  const ClipResult& result = result_of(outcomes.at(1));
  EXPECT_EQ(result.row, 1);
  EXPECT_EQ(result.clip_id, "clip 1");
  EXPECT_EQ(result.path, "/clips/1");
  EXPECT_EQ(result.view, 1);
  EXPECT_EQ(result.label, 1);
  EXPECT_THAT(result.frame_times_s, ElementsAre(0, 0.5));
  EXPECT_EQ(result.decode_s, 0.25);
  EXPECT_GT(result.network_s, 0);
  EXPECT_GT(result.pyramid_s, 0);
  EXPECT_THAT(result.logits, SizeIs(5));
  EXPECT_EQ(result.pyramids.at(0).method, "gradient");
  EXPECT_THAT(explainer.explain({}), IsEmpty());
}

TEST_F(ExplainerTest, ExplainsTheLabelThePredictionOrOneClass) {
  Clip clip = clips_for(made_, 1)[0];
  const auto target = [&](const ExplainOptions& options) {
    Explainer explainer = make_explainer(made_.network, options);
    return explain_one(explainer, clip);
  };
  const int prediction = target({}).prediction;
  clip.request.label = (prediction + 1) % 5;
  for (const auto& [options, expected] :
       {std::pair(ExplainOptions{.target = TargetKind::kLabel}, *clip.request.label),
        std::pair(ExplainOptions{.target = TargetKind::kPrediction}, prediction),
        std::pair(ExplainOptions{.target = TargetKind::kClass, .target_class = 4}, 4)}) {
    const ClipResult result = target(options);
    const Pyramid& pyramid = result.pyramids.at(0);
    EXPECT_EQ(pyramid.target.class_index, expected);
    EXPECT_EQ(pyramid.target.kind, "logit");
    EXPECT_FLOAT_EQ(static_cast<float>(pyramid.target.value),
                    result.logits[static_cast<std::size_t>(expected)]);
    const ChannelRelevance& classes = pyramid.layers.at(0).kernels;
    for (int k = 0; k < 5; ++k) {
      EXPECT_EQ(classes.found[static_cast<std::size_t>(k)], k == expected) << "class " << k;
    }
    EXPECT_EQ(result.prediction, std::ranges::max_element(result.logits) - result.logits.begin());
  }
  clip.request.label.reset();
  const ClipResult unlabelled = target({.target = TargetKind::kLabel});
  EXPECT_EQ(unlabelled.label, -1);
  EXPECT_EQ(unlabelled.pyramids.at(0).target.class_index, prediction);
}

TEST_F(ExplainerTest, ExplainsTheTopClassesEachAsIfItWereAskedForAlone) {
  const Clip clip = clips_for(made_, 1)[0];
  Explainer top = make_explainer(made_.network, {.target = TargetKind::kTopK, .top_k = 3});
  const ClipResult result = explain_one(top, clip);
  ASSERT_THAT(result.pyramids, SizeIs(3));
  for (std::size_t k = 0; k < 3; ++k) {
    const int c = result.pyramids[k].target.class_index;
    EXPECT_EQ(
        std::ranges::count_if(
            result.logits, [&](float y) { return y > result.logits[static_cast<std::size_t>(c)]; }),
        static_cast<std::ptrdiff_t>(k));
    Explainer one =
        make_explainer(made_.network, {.target = TargetKind::kClass, .target_class = c});
    const ClipResult alone = explain_one(one, clip);
    expect_same_layers(result.pyramids[k], alone.pyramids[0], alone.pyramids[0].layers.size(), 0);
  }
  Explainer all = make_explainer(made_.network, {.target = TargetKind::kTopK, .top_k = 9});
  EXPECT_THAT(explain_one(all, clip).pyramids, SizeIs(5));
}

TEST_F(ExplainerTest, WeighsTubesByScores) {
  const Clip clip = clips_for(made_, 1)[0];
  Explainer explainer = make_explainer(made_.network, {.depth = 0, .tubes = TubeKind::kWeighted});
  const ClipResult result = explain_one(explainer, clip);
  for (const PyramidLayer& layer : result.pyramids.at(0).layers) {
    SCOPED_TRACE(layer.name);
    EXPECT_GE(layer.tube.minimum, 0);
    EXPECT_FALSE(layer.tube.values.empty());
    EXPECT_TRUE(std::ranges::all_of(layer.tube.values, [](float v) { return std::isfinite(v); }));
  }
}

TEST_F(ExplainerTest, ExplainsTheMarginAgainstTheOthers) {
  const Clip clip = clips_for(made_, 1)[0];
  Explainer explainer = make_explainer(
      made_.network, {.target = TargetKind::kClass, .target_class = 3, .margin = true});
  const ClipResult result = explain_one(explainer, clip);
  const Pyramid& pyramid = result.pyramids.at(0);
  EXPECT_EQ(pyramid.target.kind, "margin");
  // The linear form a * y of the method: 1 for the class, -softmax of the others.
  double total = 0, weighted = 0;
  for (std::size_t k = 0; k < 5; ++k) {
    if (k == 3) continue;
    total += std::exp(static_cast<double>(result.logits[k]));
    weighted += std::exp(static_cast<double>(result.logits[k])) * result.logits[k];
  }
  EXPECT_NEAR(pyramid.target.value, result.logits[3] - weighted / total, 1e-5);
  // Each class is a kernel with relevance a_k * y_k.
  const ChannelRelevance& classes = pyramid.layers.at(0).kernels;
  for (std::size_t k = 0; k < 5; ++k) {
    const double share = std::exp(static_cast<double>(result.logits[k])) / total;
    const double expected = (k == 3 ? 1 : -share) * result.logits[k];
    EXPECT_NEAR(classes.positive[k] - classes.negative[k], expected, 1e-5) << "class " << k;
    EXPECT_EQ(classes.found[k], k == 3);
  }
}

TEST_F(ExplainerTest, RefusesWhatIsNotThere) {
  EXPECT_THAT(
      [&] { make_explainer(made_.network, {.target = TargetKind::kClass, .target_class = 5}); },
      ThrowsMessage<ConfigError>(AllOf(HasSubstr("class 5"), HasSubstr("0..4"))));
  EXPECT_THAT([&] { make_explainer(made_.network, {.target = TargetKind::kClass}); },
              ThrowsMessage<ConfigError>(HasSubstr("class -1")));
  EXPECT_THAT([&] { make_explainer(made_.network, {.method = "magic"}); },
              ThrowsMessage<ConfigError>(AllOf(HasSubstr("'magic'"), HasSubstr("gradient"))));
  EXPECT_THAT([&] { make_explainer(made_.network, {.layers = {"layer9"}}); },
              ThrowsMessage<ConfigError>(HasSubstr("'layer9'")));
  const auto on = [&](const std::string& device) {
    return Explainer(std::make_shared<const Network>(made_.network), preprocess_preset("demo"),
                     ExplainOptions{}, {.device = device});
  };
  EXPECT_THAT([&] { on("abacus"); }, ThrowsMessage<ConfigError>(HasSubstr("'abacus'")));
  EXPECT_THAT([&] { on("cuda:99"); }, ThrowsMessage<SystemError>(HasSubstr("'cuda:99'")));
}

TEST_F(ExplainerTest, LeavesOutEdgesAndTubesOnDemand) {
  const Clip clip = clips_for(made_, 1)[0];
  Explainer full = make_explainer(made_.network, {.depth = 0});
  Explainer bare =
      make_explainer(made_.network, {.depth = 0, .edges = false, .tubes = TubeKind::kNone});
  const Pyramid with = explain_one(full, clip).pyramids.at(0);
  const Pyramid without = explain_one(bare, clip).pyramids.at(0);
  ASSERT_EQ(with.layers.size(), without.layers.size());
  for (std::size_t l = 0; l < with.layers.size(); ++l) {
    SCOPED_TRACE(with.layers[l].name);
    EXPECT_THAT(with.layers[l].tube.values, testing::Not(IsEmpty()));
    EXPECT_THAT(without.layers[l].tube.values, IsEmpty());
    EXPECT_THAT(without.layers[l].edges, IsEmpty());
    EXPECT_EQ(with.layers[l].kernels.positive, without.layers[l].kernels.positive);
    EXPECT_EQ(with.layers[l].channels.found, without.layers[l].channels.found);
  }
  EXPECT_GT(with.layers.at(1).edges.size(), 0U);
}

TEST_F(ExplainerTest, ReachesWhatItsOwnEdgesLeadTo) {
  const Clip clip = clips_for(made_, 1)[0];
  Explainer explainer = make_explainer(made_.network, {.depth = 0});
  const Pyramid pyramid = explain_one(explainer, clip).pyramids.at(0);
  for (const PyramidLayer& layer : pyramid.layers) {
    SCOPED_TRACE(layer.name);
    for (std::size_t c = 0; c < layer.kernels.channels(); ++c) {
      EXPECT_LE(layer.kernels.reached[c], layer.kernels.found[c]);
    }
    for (const Edge& edge : layer.edges) {
      EXPECT_GT(edge.score, 0);
      EXPECT_TRUE(layer.kernels.found[edge.kernel]);
      EXPECT_TRUE(layer.channels.found[edge.channel]);
      EXPECT_GE(layer.channels.reached[edge.channel], layer.kernels.reached[edge.kernel]);
    }
    EXPECT_TRUE(std::ranges::is_sorted(
        layer.edges, {}, [](const Edge& edge) { return std::pair(edge.kernel, edge.channel); }));
  }
}

TEST_F(ExplainerTest, FindsAtMostAsManyChannelsAsAsked) {
  const Clip clip = clips_for(made_, 1)[0];
  Explainer explainer = make_explainer(made_.network, {.threshold = 0, .top_n = 2, .depth = 0});
  const ClipResult result = explain_one(explainer, clip);
  for (const PyramidLayer& layer : result.pyramids.at(0).layers) {
    for (const ChannelRelevance* relevance : {&layer.kernels, &layer.channels}) {
      EXPECT_LE(std::accumulate(relevance->found.begin(), relevance->found.end(), 0), 2)
          << layer.name;
    }
    EXPECT_LE(layer.edges.size(), 4U) << layer.name;
  }
}

/// The network with one tensor's numbers multiplied.
Network with_times(Network network, const std::string& name, float factor) {
  WeightTensor& tensor = network.weights.at(name);
  const float* old = tensor.data.get();
  auto values = std::make_shared<std::vector<float>>(old, old + tensor.elements());
  for (float& value : *values) value *= factor;
  tensor.data = std::shared_ptr<const float>(values, values->data());
  return network;
}

TEST_F(ExplainerTest, ReportsClipsWhoseLogitsAreNoNumbersAndSparesTheOthers) {
  // What the first layer sees comes out times 1e40, beyond float32; black is 0 and stays it.
  PreprocessOptions preprocess = preprocess_preset("demo");
  preprocess.range_min = 0;
  const Network broken =
      with_times(with_times(made_.network, "conv1.weight", 1e20F), "fc.weight", 1e20F);
  Explainer explainer(std::make_shared<const Network>(broken), preprocess,
                      ExplainOptions{.depth = 3}, {});
  std::vector<Clip> clips = clips_for(made_, 3);
  std::ranges::fill(clips[1].frames.rgb_thwc, std::uint8_t{0});
  const std::vector<ExplainOutcome> outcomes = explainer.explain(clips);
  ASSERT_THAT(outcomes, SizeIs(3));
  for (const std::size_t bad : {0U, 2U}) {
    const auto* failure = std::get_if<Failure>(&outcomes[bad]);
    ASSERT_NE(failure, nullptr) << "clip " << bad;
    EXPECT_EQ(failure->reason, FailureReason::kNotFinite);
    EXPECT_EQ(failure->row, clips[bad].request.row);
    EXPECT_EQ(failure->clip_id, clips[bad].request.clip_id);
    EXPECT_EQ(failure->path, clips[bad].request.media.path);
    EXPECT_EQ(failure->stage, "network");
    EXPECT_THAT(failure->message, HasSubstr("not finite"));
  }
  expect_same(result_of(outcomes[1]), explain_one(explainer, clips[1]), kBatchTolerance);
}

TEST_F(ExplainerTest, ReportsEveryClipOfANetworkWithoutNumbers) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  Explainer explainer = make_explainer(with_times(made_.network, "fc.weight", nan), {.depth = 0});
  for (const ExplainOutcome& outcome : explainer.explain(clips_for(made_, 2))) {
    ASSERT_TRUE(std::holds_alternative<Failure>(outcome));
    EXPECT_EQ(std::get<Failure>(outcome).reason, FailureReason::kNotFinite);
  }
}

TEST_F(ExplainerTest, RefusesABatchOfTwoSizes) {
  Explainer explainer = make_explainer(made_.network, {});
  std::vector<Clip> clips = clips_for(made_, 2);
  clips[1] = test::formula_frames({8, 20, 20}, 1);
  EXPECT_THROW(explainer.explain(clips), std::invalid_argument);
}

TEST_F(ExplainerTest, WarmsUpWithoutChangingAnything) {
  const Clip clip = clips_for(made_, 1)[0];
  Explainer cold = make_explainer(made_.network, {.depth = 0});
  Explainer warm = make_explainer(made_.network, {.depth = 0});
  warm.warm_up(made_.clip_size[0], made_.clip_size[1], made_.clip_size[2]);
  expect_same(explain_one(warm, clip), explain_one(cold, clip), 0);
}

}  // namespace
}  // namespace cfp
