// Rows of several views: explained apart or averaged, however they are cut into batches.
#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "stages/core/errors.h"
#include "stages/core/softmax.h"
#include "stages/pyramid/explainer.h"
#include "tests/unit/pyramid/same_pyramids.h"
#include "tests/unit/pyramid/test_networks.h"

namespace cfp {
namespace {

using test::expect_near;
using test::expect_same;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

// Sums over another number of clips may be cut into other pieces: rounding of float32, not more.
constexpr double kBatchTolerance = 1e-5;

Explainer make_explainer(const Network& network, const ExplainOptions& options) {
  return Explainer(std::make_shared<const Network>(network), preprocess_preset("demo"), options,
                   {});
}

/// Rows of `views` different views each.
std::vector<Clip> rows_of_views(const Triple& size, int rows, int views) {
  std::vector<Clip> clips;
  for (int row = 0; row < rows; ++row) {
    for (int view = 0; view < views; ++view) {
      clips.push_back(
          test::formula_frames(size, static_cast<std::uint64_t>(10 * row + view) + 1, row));
      clips.back().request.label = row + 1;
      clips.back().view = view;
      clips.back().frame_times_s = {0.5 * view, 0.5 * view + 0.25};
    }
  }
  return clips;
}

const std::vector<ClipResult>& results_of(const RowExplanation& row) {
  return std::get<std::vector<ClipResult>>(row);
}

std::vector<float> mean_of(const std::vector<const std::vector<float>*>& views) {
  std::vector<float> mean(views[0]->size());
  for (std::size_t i = 0; i < mean.size(); ++i) {
    double sum = 0;
    for (const auto* view : views) sum += (*view)[i];
    mean[i] = static_cast<float>(sum / static_cast<double>(views.size()));
  }
  return mean;
}

/// Each clip explained in a call of its own.
std::vector<ClipResult> alone(const Network& network, ExplainOptions options,
                              const std::vector<Clip>& clips) {
  options.views = ViewPyramids::kSeparate;
  Explainer explainer = make_explainer(network, options);
  std::vector<ClipResult> results;
  for (const Clip& clip : clips) {
    results.push_back(std::get<ClipResult>(explainer.explain(std::span(&clip, 1)).at(0)));
  }
  return results;
}

class ViewsOf : public testing::TestWithParam<std::tuple<std::string, std::string>> {
 protected:
  const test::TestNetwork made_ = test::reduced_architecture(std::get<0>(GetParam()));
  const std::string method_ = std::get<1>(GetParam());
  const bool by_means_ = method_ == "response" || method_ == "published";
};

TEST_P(ViewsOf, SeparateIsEachViewAloneInAnyBatch) {
  const std::vector<Clip> clips = rows_of_views(made_.clip_size, 2, 3);
  const ExplainOptions options{.method = method_, .depth = 0};
  const std::vector<ClipResult> expected = alone(made_.network, options, clips);
  for (const std::size_t batch_size : {1, 2, 3, 6}) {
    Explainer explainer = make_explainer(made_.network, options);
    const auto rows = explainer.explain_rows(clips, batch_size);
    ASSERT_THAT(rows, SizeIs(2));
    for (std::size_t i = 0; i < clips.size(); ++i) {
      SCOPED_TRACE(testing::Message() << "batches of " << batch_size << ", clip " << i);
      const ClipResult& result = results_of(rows[i / 3]).at(i % 3);
      EXPECT_EQ(result.view, static_cast<int>(i % 3));
      EXPECT_EQ(result.views, 1);
      EXPECT_EQ(result.frame_times_s, clips[i].frame_times_s);
      // One clip at a time, the same is computed, to the bit.
      const double tolerance = batch_size == 1 ? 0 : kBatchTolerance;
      expect_near(result.logits, expected[i].logits, tolerance);
      expect_same(result.pyramids.at(0), expected[i].pyramids.at(0), tolerance);
    }
  }
}

TEST_P(ViewsOf, AveragedViewsThatAreEqualAreOneView) {
  std::vector<Clip> clips = rows_of_views(made_.clip_size, 1, 1);
  clips.resize(3, clips[0]);
  const ExplainOptions options{.method = method_, .depth = 0, .views = ViewPyramids::kAveraged};
  const ClipResult expected = alone(made_.network, options, {clips[0]}).at(0);
  for (const std::size_t batch_size : {1, 2, 3}) {
    SCOPED_TRACE(testing::Message() << "batches of " << batch_size);
    Explainer explainer = make_explainer(made_.network, options);
    const auto rows = explainer.explain_rows(clips, batch_size);
    const ClipResult& result = results_of(rows.at(0)).at(0);
    ASSERT_THAT(results_of(rows[0]), SizeIs(1));
    EXPECT_EQ(result.view, 0);
    EXPECT_EQ(result.views, 3);
    expect_near(result.logits, expected.logits, batch_size == 1 ? 0 : kBatchTolerance);
    // A score is the difference of rounded P and N here, and of unrounded ones in one view.
    expect_same(result.pyramids.at(0), expected.pyramids.at(0), kBatchTolerance);
  }
}

TEST_P(ViewsOf, AveragedIsTheMeanOfRunsOfOneView) {
  const std::vector<Clip> clips = rows_of_views(made_.clip_size, 1, 3);
  ExplainOptions options{.method = method_, .depth = 0, .views = ViewPyramids::kAveraged};
  const std::vector<ClipResult> views = alone(made_.network, options, clips);
  Explainer explainer = make_explainer(made_.network, options);
  const auto rows = explainer.explain_rows(clips, 1);
  const ClipResult& result = results_of(rows.at(0)).at(0);
  EXPECT_EQ(result.logits, mean_of({&views[0].logits, &views[1].logits, &views[2].logits}));
  const Pyramid& pyramid = result.pyramids.at(0);
  EXPECT_NEAR(pyramid.target.value,
              (views[0].pyramids[0].target.value + views[1].pyramids[0].target.value +
               views[2].pyramids[0].target.value) /
                  3,
              1e-12);
  if (by_means_) return;  // these average what they read, not what they say
  for (std::size_t l = 0; l < pyramid.layers.size(); ++l) {
    SCOPED_TRACE(pyramid.layers[l].name);
    for (const auto tensor : {&PyramidLayer::kernels, &PyramidLayer::channels}) {
      const auto of = [&](std::size_t view) -> const ChannelRelevance& {
        return views[view].pyramids[0].layers[l].*tensor;
      };
      const ChannelRelevance& mean = pyramid.layers[l].*tensor;
      EXPECT_EQ(mean.positive, mean_of({&of(0).positive, &of(1).positive, &of(2).positive}));
      EXPECT_EQ(mean.negative, mean_of({&of(0).negative, &of(1).negative, &of(2).negative}));
      // P - N/2 of means instead of the mean of differences: three roundings of float32.
      expect_near(mean.score, mean_of({&of(0).score, &of(1).score, &of(2).score}), 1e-6);
      if (l == 0) continue;  // rooted at the class, whatever is large
      const float largest = std::ranges::max(mean.score);
      for (std::size_t c = 0; c < mean.channels(); ++c) {
        EXPECT_EQ(mean.found[c] != 0,
                  mean.score[c] > 0 && mean.score[c] >= static_cast<float>(0.3 * largest));
      }
    }
  }
}

TEST_P(ViewsOf, AveragedEdgesAreTheMeansOfTheViewsSignedScores) {
  if (method_ == "published") return;  // its scores are no sums, so their means are none
  const std::vector<Clip> clips = rows_of_views(made_.clip_size, 1, 3);
  // Nearly everything that speaks for the class is found, so that the views share many pairs.
  const ExplainOptions options{
      .method = method_, .threshold = 1e-9, .depth = 0, .views = ViewPyramids::kAveraged};
  const std::vector<ClipResult> views = alone(made_.network, options, clips);
  Explainer explainer = make_explainer(made_.network, options);
  const auto rows = explainer.explain_rows(clips, 2);
  const Pyramid& pyramid = results_of(rows.at(0)).at(0).pyramids.at(0);
  int in_all = 0, in_some = 0;
  for (std::size_t l = 0; l < pyramid.layers.size(); ++l) {
    std::map<std::pair<std::uint32_t, std::uint32_t>, std::vector<double>> scores;
    float unit = 0;
    for (const ClipResult& view : views) {
      for (const Edge& edge : view.pyramids[0].layers[l].edges) {
        scores[{edge.kernel, edge.channel}].push_back(edge.score);
        unit = std::max(unit, edge.score);
      }
    }
    for (const Edge& edge : pyramid.layers[l].edges) {
      EXPECT_GT(edge.score, 0);
      const std::vector<double>& of = scores[{edge.kernel, edge.channel}];
      const double sum = std::accumulate(of.begin(), of.end(), 0.0);
      if (of.size() == 3) {
        ++in_all;
        EXPECT_NEAR(edge.score, sum / 3, kBatchTolerance * static_cast<double>(unit));
      } else if (!of.empty()) {
        ++in_some;
      }
    }
  }
  EXPECT_GT(in_all, 50);
  EXPECT_GT(in_all + in_some, 60);
}

TEST_P(ViewsOf, AveragedTubesHoldWhatTheirFoundChannelsHave) {
  if (method_ != "excitation") return;  // whose relevance is that of tubes
  const std::vector<Clip> clips = rows_of_views(made_.clip_size, 1, 3);
  const ExplainOptions options{.method = method_, .depth = 0, .views = ViewPyramids::kAveraged};
  Explainer explainer = make_explainer(made_.network, options);
  const auto rows = explainer.explain_rows(clips, 2);
  const Pyramid& pyramid = results_of(rows.at(0)).at(0).pyramids.at(0);
  for (std::size_t l = 1; l < pyramid.layers.size(); ++l) {
    const PyramidLayer& layer = pyramid.layers[l];
    SCOPED_TRACE(layer.name);
    double found = 0;
    for (std::size_t c = 0; c < layer.channels.channels(); ++c) {
      if (layer.channels.found[c]) found += layer.channels.positive[c];
    }
    const double tube = std::accumulate(layer.tube.values.begin(), layer.tube.values.end(), 0.0);
    EXPECT_NEAR(tube, found, 1e-5 * found);
    EXPECT_EQ(layer.tube.minimum, std::ranges::min(layer.tube.values));
    EXPECT_EQ(layer.tube.maximum, std::ranges::max(layer.tube.values));
  }
}

TEST_P(ViewsOf, AveragedIsTheSameInAnyBatch) {
  const std::vector<Clip> clips = rows_of_views(made_.clip_size, 2, 3);
  const ExplainOptions options{.method = method_,
                               .target = TargetKind::kTopK,
                               .top_k = 2,
                               .depth = 0,
                               .views = ViewPyramids::kAveraged};
  Explainer explainer = make_explainer(made_.network, options);
  const auto expected = explainer.explain_rows(clips, 1);
  for (const std::size_t batch_size : {2, 3, 4, 6}) {
    SCOPED_TRACE(testing::Message() << "batches of " << batch_size);
    const auto rows = explainer.explain_rows(clips, batch_size);
    ASSERT_THAT(rows, SizeIs(2));
    for (std::size_t r = 0; r < 2; ++r) {
      const ClipResult &a = results_of(rows[r]).at(0), &b = results_of(expected[r]).at(0);
      EXPECT_EQ(a.row, static_cast<std::int64_t>(r));
      ASSERT_THAT(a.pyramids, SizeIs(2));
      expect_near(a.logits, b.logits, kBatchTolerance);
      for (std::size_t k = 0; k < 2; ++k) {
        expect_same(a.pyramids[k], b.pyramids[k], kBatchTolerance);
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    Methods, ViewsOf,
    testing::Combine(testing::Values("resnet50_3d", "mfnet3d"),
                     testing::Values("gradient", "excitation", "response", "published")),
    [](const auto& info) { return std::get<0>(info.param) + "_" + std::get<1>(info.param); });

class Views : public testing::Test {
 protected:
  const test::TestNetwork made_ = test::reduced_architecture("resnet50_3d");
  std::vector<Clip> clips_ = rows_of_views(made_.clip_size, 1, 3);
};

TEST_F(Views, ExplainTheClassThatTheRowIsTakenFor) {
  for (const std::size_t batch_size : {1, 2, 3}) {
    for (Clip& clip : clips_) clip.request.label.reset();
    Explainer explainer = make_explainer(made_.network, {.target = TargetKind::kPrediction});
    const auto rows = explainer.explain_rows(clips_, batch_size);
    const std::vector<ClipResult>& views = results_of(rows.at(0));
    const std::vector<float> mean = mean_of({&views[0].logits, &views[1].logits, &views[2].logits});
    const auto predicted = static_cast<int>(std::ranges::max_element(mean) - mean.begin());
    for (const ClipResult& view : views) {
      EXPECT_EQ(view.prediction, predicted);
      EXPECT_EQ(view.pyramids.at(0).target.class_index, predicted);
      EXPECT_FLOAT_EQ(static_cast<float>(view.pyramids.at(0).target.value),
                      view.logits[static_cast<std::size_t>(predicted)]);
    }
  }
}

TEST_F(Views, OfWhichOneAloneSaysOtherwiseAreOutvoted) {
  // Views are chosen such that one of them, alone, is taken for another class than the row.
  Explainer explainer = make_explainer(made_.network, {.target = TargetKind::kPrediction});
  for (std::uint64_t seed = 1; seed < 200; ++seed) {
    for (std::size_t v = 0; v < 3; ++v) {
      Clip other = test::formula_frames(made_.clip_size, 3 * seed + v, 0);
      // Flat colours differ more in what the network says than textures do.
      if (v == 0) std::ranges::fill(other.frames.rgb_thwc, static_cast<std::uint8_t>(seed));
      clips_[v].frames = other.frames;
    }
    const auto outcomes = explainer.explain(std::span(clips_).first(1));
    const auto rows = explainer.explain_rows(clips_, 1);
    const ClipResult& first = results_of(rows.at(0)).at(0);
    const int by_itself = std::get<ClipResult>(outcomes.at(0)).prediction;
    if (by_itself == first.prediction) continue;
    EXPECT_EQ(first.pyramids.at(0).target.class_index, first.prediction);
    return;
  }
  FAIL() << "no view says otherwise: nothing was tested";
}

TEST_F(Views, AreExplainedAgainstTheRivalsOfTheRow) {
  const ExplainOptions options{.target_class = 2, .margin = true, .depth = 2};
  ExplainOptions averaged = options;
  averaged.target = TargetKind::kClass;
  averaged.views = ViewPyramids::kAveraged;
  for (const std::size_t batch_size : {1, 3}) {
    Explainer explainer = make_explainer(made_.network, averaged);
    const auto rows = explainer.explain_rows(clips_, batch_size);
    const ClipResult& row = results_of(rows.at(0)).at(0);
    double sum = 0, rivals = 0;
    for (std::size_t c = 0; c < row.logits.size(); ++c) {
      if (c == 2) continue;
      sum += std::exp(double{row.logits[c]});
      rivals += std::exp(double{row.logits[c]}) * double{row.logits[c]};
    }
    EXPECT_EQ(row.pyramids.at(0).target.kind, "margin");
    // Sums of five float32 numbers of size 1.
    EXPECT_NEAR(row.pyramids.at(0).target.value, double{row.logits[2]} - rivals / sum, 1e-5);
  }
}

TEST_F(Views, FailTogether) {
  // The first layer's output times 1e40 is beyond float32; black is 0 and stays it.
  PreprocessOptions preprocess = preprocess_preset("demo");
  preprocess.range_min = 0;
  preprocess.mean = {0, 0, 0};
  Network broken = made_.network;
  for (const char* name : {"conv1.weight", "fc.weight"}) {
    WeightTensor& tensor = broken.weights.find(name)->second;
    auto values = std::make_shared<std::vector<float>>(tensor.data.get(),
                                                       tensor.data.get() + tensor.elements());
    for (float& value : *values) value *= 1e20F;
    tensor.data = std::shared_ptr<const float>(values, values->data());
  }
  std::vector<Clip> clips = rows_of_views(made_.clip_size, 2, 3);
  for (std::size_t i = 0; i < clips.size(); ++i) {
    if (i != 1) std::ranges::fill(clips[i].frames.rgb_thwc, std::uint8_t{0});
  }
  for (const ViewPyramids views : {ViewPyramids::kSeparate, ViewPyramids::kAveraged}) {
    for (const std::size_t batch_size : {1, 6}) {
      Explainer explainer(std::make_shared<const Network>(broken), preprocess,
                          {.target = TargetKind::kPrediction, .depth = 3, .views = views}, {});
      const auto rows = explainer.explain_rows(clips, batch_size);
      ASSERT_THAT(rows, SizeIs(2));
      const auto* failure = std::get_if<Failure>(&rows[0]);
      ASSERT_NE(failure, nullptr);
      EXPECT_EQ(failure->reason, FailureReason::kNotFinite);
      EXPECT_EQ(failure->row, 0);
      EXPECT_THAT(failure->message, HasSubstr("logits for view 1 hold a value"));
      EXPECT_THAT(results_of(rows[1]), SizeIs(views == ViewPyramids::kSeparate ? 3 : 1));
    }
  }
}

TEST_F(Views, OfOneARowAreNotAveraged) {
  Explainer separate = make_explainer(made_.network, {.depth = 0});
  Explainer averaged =
      make_explainer(made_.network, {.depth = 0, .views = ViewPyramids::kAveraged});
  const std::vector<Clip> clips = rows_of_views(made_.clip_size, 2, 1);
  const auto a = separate.explain_rows(clips, 2), b = averaged.explain_rows(clips, 2);
  for (std::size_t r = 0; r < 2; ++r) {
    EXPECT_EQ(results_of(b[r]).at(0).views, 1);
    expect_same(results_of(a[r]).at(0).pyramids.at(0), results_of(b[r]).at(0).pyramids.at(0), 0);
  }
}

TEST(MeanLogits, AreThoseOfOneViewAsTheyAre) {
  const std::vector<std::vector<float>> views{{0.1F, -3e38F}, {0.2F, -3e38F}, {0.4F, 3e38F}};
  EXPECT_EQ(mean_logits(std::span(views).first(1)), views[0]);
  EXPECT_THAT(mean_logits(views),
              ElementsAre(static_cast<float>((double{0.1F} + double{0.2F} + double{0.4F}) / 3),
                          static_cast<float>(double{-3e38F} / 3)));
}

}  // namespace
}  // namespace cfp
