// Several explanations of one forward pass: each is what it would be alone.
#include <gtest/gtest.h>

#include "stages/core/errors.h"
#include "stages/pyramid/explainer.h"
#include "tests/unit/pyramid/same_pyramids.h"
#include "tests/unit/pyramid/test_networks.h"

namespace cfp {
namespace {

// Edges among more kernels and channels are added up in other pieces: rounding of float32.
constexpr double kTolerance = 1e-5;

Explainer make_explainer(const Network& network, const std::vector<ExplainOptions>& options) {
  return Explainer(std::make_shared<const Network>(network), preprocess_preset("demo"), options,
                   {});
}

/// Everything that may differ after the forward pass.
std::vector<ExplainOptions> many_options() {
  std::vector<ExplainOptions> all;
  for (const char* method : {"gradient", "excitation", "response", "published"}) {
    for (const double threshold : {0.2, 0.6})
      all.push_back({.method = method, .threshold = threshold});
    all.push_back({.method = method, .depth = 0, .tubes = TubeKind::kWeighted});
    all.push_back({.method = method, .top_n = 3, .depth = 2, .tubes = TubeKind::kNone});
    all.push_back({.method = method, .target = TargetKind::kTopK, .top_k = 2});
    all.push_back({.method = method, .target = TargetKind::kPrediction, .edges = false});
  }
  all.push_back({.balance = 0.0, .edge_threshold = 0.5});
  all.push_back({.margin = true});
  return all;
}

class SharedWalk : public testing::TestWithParam<std::string> {
 protected:
  SharedWalk() {
    for (int row = 0; row < 2; ++row) {
      for (int view = 0; view < 2; ++view) {
        clips_.push_back(test::formula_frames(
            made_.clip_size, static_cast<std::uint64_t>(10 * row + view) + 1, row));
        clips_.back().request.label = row + 1;
        clips_.back().view = view;
      }
    }
  }

  void expect_as_alone(const std::vector<ExplainOptions>& options) {
    Explainer together = make_explainer(made_.network, options);
    std::vector<std::size_t> counts;
    for (const ExplainOptions& each : options) {
      counts.push_back(pyramid_count(each, made_.network.num_classes()));
    }
    const auto rows = together.explain_rows(clips_, clips_.size());
    std::size_t first = 0;
    for (std::size_t i = 0; i < options.size(); ++i) {
      SCOPED_TRACE(options[i].method + ", options " + std::to_string(i));
      const auto alone =
          make_explainer(made_.network, {options[i]}).explain_rows(clips_, clips_.size());
      ASSERT_EQ(rows.size(), alone.size());
      for (std::size_t row = 0; row < rows.size(); ++row) {
        const auto& all = std::get<std::vector<ClipResult>>(rows[row]);
        const auto& own = std::get<std::vector<ClipResult>>(alone[row]);
        ASSERT_EQ(all.size(), own.size());
        for (std::size_t view = 0; view < own.size(); ++view) {
          EXPECT_EQ(all[view].logits, own[view].logits);
          ASSERT_EQ(own[view].pyramids.size(), counts[i]);
          for (std::size_t k = 0; k < counts[i]; ++k) {
            EXPECT_EQ(all[view].pyramids.at(first + k).method, options[i].method);
            test::expect_same(all[view].pyramids.at(first + k), own[view].pyramids[k], kTolerance);
          }
        }
      }
      first += counts[i];
    }
  }

  const test::TestNetwork made_ = test::reduced_architecture(GetParam());
  std::vector<Clip> clips_;
};

TEST_P(SharedWalk, GivesEachWhatItWouldBeAlone) { expect_as_alone(many_options()); }

TEST_P(SharedWalk, GivesEachWhatItWouldBeAloneOverAveragedViews) {
  std::vector<ExplainOptions> options = many_options();
  for (ExplainOptions& each : options) each.views = ViewPyramids::kAveraged;
  expect_as_alone(options);
}

INSTANTIATE_TEST_SUITE_P(Networks, SharedWalk, testing::Values("resnet50_3d", "mfnet3d", "i3d"));

TEST(SharedWalkOfViews, AreTreatedAlike) {
  const test::TestNetwork made = test::reduced_architecture("resnet50_3d");
  EXPECT_THROW(make_explainer(made.network, {{}, {.views = ViewPyramids::kAveraged}}),
               std::invalid_argument);
}

}  // namespace
}  // namespace cfp
