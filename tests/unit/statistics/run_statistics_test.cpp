#include "results/statistics/run_statistics.h"

#include <algorithm>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "results/statistics/summary_json.h"
#include "stages/core/formula.h"
#include "tests/unit/store/example_clips.h"

namespace cfp {
namespace {

using testing::HasSubstr;
using Json = nlohmann::json;

RunStatistics empty_statistics() {
  return RunStatistics({.name = "run", .class_names = {"a", "b"}});
}

/// Integers, texts and shapes must be equal; other numbers to 1e-12 of their size, which is what
/// adding in another order may change.
void expect_same(const Json& a, const Json& b, const std::string& where) {
  if (a.is_number_float() && b.is_number()) {
    const double x = a.get<double>(), y = b.get<double>();
    EXPECT_NEAR(x, y, 1e-12 * std::max(1.0, std::abs(x))) << where;
  } else if (a.is_object() && b.is_object()) {
    ASSERT_EQ(a.size(), b.size()) << where;
    for (const auto& [key, value] : a.items()) {
      ASSERT_TRUE(b.contains(key)) << where << "/" << key;
      expect_same(value, b[key], where + "/" + key);
    }
  } else if (a.is_array() && b.is_array()) {
    ASSERT_EQ(a.size(), b.size()) << where;
    for (std::size_t i = 0; i < a.size(); ++i) {
      expect_same(a[i], b[i], where + "/" + std::to_string(i));
    }
  } else {
    EXPECT_EQ(a, b) << where;
  }
}

TEST(RunStatistics, RandomSplitsMergedInAnyOrderEqualTheWhole) {
  constexpr int kClips = 90;
  RunStatistics whole = empty_statistics();
  for (int i = 0; i < kClips; ++i) {
    whole.add(test::example_clip(i));
    if (i % 4 == 0) whole.add_failure(test::example_failure(i));
  }
  const Json want = Json::parse(summary_json(whole));
  const FormulaStream random(5, "splits of a run");
  for (std::uint64_t split = 0; split < 8; ++split) {
    const std::size_t shards = 1 + split;
    std::vector<RunStatistics> parts(shards, empty_statistics());
    for (int i = 0; i < kClips; ++i) {
      RunStatistics& part =
          parts[random.bits(split * 1000 + static_cast<std::uint64_t>(i)) % shards];
      part.add(test::example_clip(i));
      if (i % 4 == 0) part.add_failure(test::example_failure(i));
    }
    RunStatistics merged = empty_statistics();
    for (std::size_t k = 0; k < shards; ++k) merged.merge(parts[(k + split / 2 + 1) % shards]);
    expect_same(want, Json::parse(summary_json(merged)), "");
    for (std::size_t l = 0; l < whole.layers().size(); ++l) {
      EXPECT_EQ(merged.layers()[l].found_by_class, whole.layers()[l].found_by_class);
    }
    EXPECT_EQ(merged.confusion_pairs(), whole.confusion_pairs());
  }
}

TEST(RunStatistics, MergesWithEmptyOnesOnBothSides) {
  RunStatistics a = empty_statistics(), b = empty_statistics(), one = empty_statistics();
  one.add(test::example_clip(0));
  a.merge(b);
  EXPECT_EQ(a.done(), 0);
  a.merge(one);
  a.merge(b);
  EXPECT_EQ(summary_json(a), summary_json(one));
}

TEST(RunStatistics, RefusesToMergeAnotherRun) {
  RunStatistics a = empty_statistics();
  EXPECT_THROW(a.merge(RunStatistics({.name = "other"})), std::invalid_argument);
  a.add(test::example_clip(0));
  RunStatistics more_classes = empty_statistics();
  more_classes.add(test::example_clip(0, {.classes = 9}));
  EXPECT_THROW(a.merge(more_classes), std::invalid_argument);
  RunStatistics more_kernels = empty_statistics();
  more_kernels.add(test::example_clip(0, {.kernels = 30}));
  EXPECT_THROW(a.merge(more_kernels), std::invalid_argument);
}

/// A clip of three classes with one layer of four kernels below the classifier.
ClipResult small_clip(std::int64_t row, int label, std::vector<float> logits,
                      std::vector<std::uint8_t> found) {
  ClipResult clip{.row = row, .clip_id = "c" + std::to_string(row), .label = label};
  clip.logits = std::move(logits);
  clip.prediction = static_cast<int>(std::max_element(clip.logits.begin(), clip.logits.end()) -
                                     clip.logits.begin());
  Pyramid& pyramid = clip.pyramids.emplace_back();
  pyramid.target.class_index = std::max(label, 0);
  PyramidLayer& fc = pyramid.layers.emplace_back();
  fc.name = "fc";
  fc.depth = 1;
  fc.kernels = {{1, 0, 0}, {0, 0, 0}, {1, 0, 0}, {1, 0, 0}, {1, 0, 0}};
  PyramidLayer& conv = pyramid.layers.emplace_back();
  conv.name = "conv";
  conv.depth = 2;
  conv.kernels = {{1, 2, 3, 4}, {0, 0, 0, 0}, {1, 2, 3, 4}, found, found};
  conv.edges = {{0, 1, 0.5F}};
  return clip;
}

TEST(RunStatistics, CountsARowOfSeveralViewsOnceByItsMeanLogits) {
  // The second view alone would be taken for class 1; the mean (2.5, 2, 1) is of class 0.
  std::vector<ClipResult> views{small_clip(0, 0, {4, 1, 1}, {1, 1, 0, 0}),
                                small_clip(0, 0, {1, 3, 1}, {1, 0, 0, 1})};
  views[1].view = 1;
  views[1].prediction = 0;
  for (ClipResult& view : views) view.decode_s = 3, view.network_s = 1, view.pyramid_s = 2;
  RunStatistics s = empty_statistics();
  s.add(views);
  EXPECT_EQ(s.done(), 1);
  EXPECT_EQ(s.labelled(), 1);
  EXPECT_EQ(s.top1(), 1);
  EXPECT_EQ(s.confusion(0, 0), 1);
  EXPECT_EQ(s.classes()[0].predicted, 1);
  EXPECT_EQ(s.classes()[0].explained, 2) << "each pyramid is a target";
  EXPECT_EQ(s.decode_s().mean(), 3) << "views are decoded together";
  EXPECT_EQ(s.network_s().mean(), 2);
  EXPECT_EQ(s.pyramid_s().mean(), 4);
  ASSERT_EQ(s.slowest().size(), 1u);
  EXPECT_EQ(s.slowest()[0].value, 9);

  // A row taken for the wrong class, by the probability of its mean logits (0, 1, 3).
  views = {small_clip(1, 0, {0, 0, 2}, {1, 1, 0, 0}), small_clip(1, 0, {0, 2, 4}, {1, 1, 0, 0})};
  s.add(views);
  ASSERT_EQ(s.confident_errors().size(), 1u);
  EXPECT_NEAR(s.confident_errors()[0].value,
              std::exp(3.0) / (std::exp(0.0) + std::exp(1.0) + std::exp(3.0)), 1e-12);

  views[1].row = 2;
  EXPECT_THROW(s.add(views), std::logic_error);
  views[1].row = 1;
  views[1].prediction = 1;
  EXPECT_THROW(s.add(views), std::logic_error);
  EXPECT_THROW(s.add(std::span<const ClipResult>()), std::logic_error);
}

TEST(RunStatistics, CountsByHand) {
  RunStatistics s = empty_statistics();
  s.add(small_clip(0, 0, {3, 1, 2}, {1, 1, 0, 0}));
  s.add(small_clip(1, 0, {1, 3, 2}, {1, 0, 0, 1}));
  s.add(small_clip(2, 1, {1, 3, 2}, {1, 1, 1, 0}));
  s.add(small_clip(3, -1, {1, 2, 3}, {0, 0, 0, 0}));
  EXPECT_EQ(s.done(), 4);
  EXPECT_EQ(s.labelled(), 3);
  EXPECT_DOUBLE_EQ(*s.top1(), 2.0 / 3);
  EXPECT_DOUBLE_EQ(*s.top5(), 1.0);
  EXPECT_DOUBLE_EQ(*s.mean_class_accuracy(), 0.75);  // 1 of 2, 1 of 1; class 2 has no clip
  EXPECT_EQ(s.confusion(0, 1), 1);
  EXPECT_EQ(s.confusion(2, 0), 0);
  EXPECT_EQ(s.classes()[2].predicted, 1);
  EXPECT_EQ(s.classes()[2].predicted_labelled, 0);
  EXPECT_EQ(s.class_name(1), "b");
  EXPECT_EQ(s.class_name(2), "class 2");
  // Three targets are class 0: two labelled so and the unlabelled one.
  EXPECT_EQ(s.classes()[0].explained, 3);
  EXPECT_THAT(s.layers()[1].found_by_class.at(0), testing::ElementsAre(2, 1, 0, 1));
  EXPECT_EQ(s.layers()[1].kernels_ever_found(), 4);
  // 3 of 10, 5 of 10, 6 of 10, 0 of 10.
  EXPECT_NEAR(s.layers()[1].kernel_totals.found_share.mean(), 0.35, 1e-12);
  EXPECT_DOUBLE_EQ(s.layers()[1].kernel_totals.positive.mean(), 10);
  EXPECT_DOUBLE_EQ(s.layers()[1].kernel_totals.negative.mean(), 0);
  // Class 0: kernel 0, in two of three clips. Class 1: kernels 0, 1, 2. The classifier is left out.
  const std::vector<ClassOverlap> overlaps = s.overlaps();
  ASSERT_EQ(overlaps.size(), 1U);
  EXPECT_EQ(overlaps[0].first_kernels, 1);
  EXPECT_EQ(overlaps[0].second_kernels, 3);
  EXPECT_EQ(overlaps[0].shared, 1);
  EXPECT_DOUBLE_EQ(*overlaps[0].jaccard(), 1.0 / 3);
  ASSERT_EQ(s.confident_errors().size(), 1U);
  EXPECT_EQ(s.confident_errors()[0].row, 1);
}

TEST(TensorTotals, SumsAllChannelsAndSharesOutWhatIsFound) {
  TensorTotals totals;
  totals.add({{3, 1}, {0.5F, 0.25F}, {2.75F, 0.875F}, {1, 0}, {0, 0}});
  totals.add({{0, 0}, {1, 1}, {-0.5F, -0.5F}, {0, 0}, {0, 0}});  // no P: no share of it
  totals.add({{4, 4}, {0, 0}, {4, 4}, {}, {}});                  // an addend: nothing is selected
  totals.add({{}, {}, {1, 2}, {1, 1}, {1, 1}});                  // a scorer without P and N
  EXPECT_EQ(totals.positive.count(), 3);
  EXPECT_DOUBLE_EQ(totals.positive.sum(), 12);
  EXPECT_DOUBLE_EQ(totals.negative.sum(), 2.75);
  EXPECT_EQ(totals.found_share.count(), 1);
  EXPECT_DOUBLE_EQ(totals.found_share.mean(), 0.75);
}

TEST(RunStatistics, RefusesAnotherNumberOfAdditions) {
  RunStatistics with = empty_statistics(), without = empty_statistics();
  with.add(test::example_clip(0));
  ClipResult clip = test::example_clip(1);
  clip.pyramids[0].additions.pop_back();
  EXPECT_THROW(with.add(clip), std::logic_error);
  without.add(clip);
  EXPECT_THROW(with.merge(without), std::invalid_argument);
}

TEST(RunStatistics, RefusesAClipThatDoesNotFit) {
  RunStatistics s = empty_statistics();
  s.add(test::example_clip(0));
  const auto message = [&s](const ClipResult& clip) -> std::string {
    try {
      s.add(clip);
    } catch (const std::logic_error& error) {
      return error.what();
    }
    return "nothing was thrown";
  };
  EXPECT_THAT(message(test::example_clip(1, {.classes = 9})), HasSubstr("the run has 7 classes"));
  EXPECT_THAT(message(test::example_clip(1, {.layers = 2})), HasSubstr("2 layers, the run has 3"));
  EXPECT_THAT(message(test::example_clip(1, {.kernels = 25})), HasSubstr("layer layer4/conv"));
}

}  // namespace
}  // namespace cfp
