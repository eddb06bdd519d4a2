#include "stages/pyramid/tubes.h"

#include <algorithm>
#include <map>
#include <numeric>

#include <ATen/TensorOperators.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "stages/network/builders.h"
#include "stages/pyramid/scorer.h"
#include "tests/unit/pyramid/test_networks.h"

namespace cfp {
namespace {

using std::int64_t;

const InputBounds kBounds{{-1, -1, -1}, {1, 1, 1}};

/// A traced batch of two clips with everything that tubes are made of.
struct Explained {
  Executor executor;
  PyramidPlan plan;
  std::vector<int> classes;
  Trace trace;
  std::vector<std::vector<NodeRelevance>> relevance;
  BoundedInput input{kBounds};

  Explained(const test::TestNetwork& made, const ExplainOptions& options, at::ScalarType type)
      : executor(made.network, {.dtype = type}),
        plan(plan_pyramid(executor.graph(), options)),
        classes{1, 3},
        trace(executor.forward(test::formula_clips(made.clip_size, 2, 1), true)) {
    at::Tensor weights = trace.logits * 0;
    for (int64_t clip = 0; clip < 2; ++clip) {
      weights[clip][classes[static_cast<std::size_t>(clip)]].fill_(1);
    }
    const std::vector<PyramidRequest> requests{{options, plan}};
    relevance =
        make_scorer("gradient")
            ->score({executor, made.network, trace, input, requests, {}}, {weights, classes})[0]
            .relevance;
  }

  std::vector<std::vector<Tube>> tubes() const {
    const TubeRequest request{&plan, &relevance};
    return excitation_tubes(executor, trace, classes, input, std::span(&request, 1))[0];
  }

  /// The relevance of every value that a tube is taken at.
  std::map<NodeId, at::Tensor> excitation() const {
    std::map<NodeId, at::Tensor> values;
    walk_excitation(executor, trace, classes, input, plan_walk(executor.graph(), plan.wanted_tube),
                    {[&](NodeId id, const at::Tensor& r) { values[id] = r.clone(); }});
    return values;
  }
};

/// The sum over found channels, number by number.
std::vector<double> summed(const at::Tensor& relevance, int64_t clip,
                           const ChannelRelevance& channels) {
  const at::Tensor r = relevance[clip].to(at::kDouble).flatten(1).contiguous();
  std::vector<double> sum(static_cast<std::size_t>(r.size(1)), 0.0);
  for (int64_t c = 0; c < r.size(0); ++c) {
    if (!channels.found[static_cast<std::size_t>(c)]) continue;
    for (int64_t p = 0; p < r.size(1); ++p) {
      sum[static_cast<std::size_t>(p)] += r[c].data_ptr<double>()[p];
    }
  }
  return sum;
}

class Tubes : public testing::TestWithParam<std::string> {};

TEST_P(Tubes, SumTheExcitationOfFoundChannels) {
  const test::TestNetwork made = test::reduced_architecture(GetParam());
  for (const at::ScalarType type : {at::kFloat, at::kDouble}) {
    SCOPED_TRACE(type == at::kFloat ? "float32" : "float64");
    const Explained explained(made, {.depth = 0}, type);
    const auto tubes = explained.tubes();
    const auto excitation = explained.excitation();
    ASSERT_EQ(tubes.size(), 2U);
    for (std::size_t clip = 0; clip < 2; ++clip) {
      ASSERT_EQ(tubes[clip].size(), explained.plan.layers.size());
      for (std::size_t l = 0; l < tubes[clip].size(); ++l) {
        const PyramidPlan::Layer& layer = explained.plan.layers[l];
        SCOPED_TRACE(explained.executor.graph().node(layer.node).name);
        const at::Tensor& relevance = excitation.at(layer.tube);
        const auto& channels = *explained.relevance[clip][test::at_node(layer.entering)].value;
        const std::vector<double> expected =
            summed(relevance, static_cast<int64_t>(clip), channels);
        const Tube& tube = tubes[clip][l];
        EXPECT_EQ(tube.length, relevance.size(2));
        EXPECT_EQ(tube.height, relevance.size(3));
        EXPECT_EQ(tube.width, relevance.size(4));
        ASSERT_EQ(tube.values.size(), expected.size());
        // A tube holds float32; sums of some hundred numbers of one sign.
        const double largest = *std::ranges::max_element(expected);
        for (std::size_t p = 0; p < expected.size(); ++p) {
          ASSERT_NEAR(tube.values[p], expected[p], 1e-6 * largest) << "position " << p;
        }
        EXPECT_EQ(tube.minimum, *std::ranges::min_element(tube.values));
        EXPECT_EQ(tube.maximum, *std::ranges::max_element(tube.values));
      }
    }
  }
}

TEST_P(Tubes, AreNeverNegativeAndShareOneWholeAtTheClass) {
  const Explained explained(test::reduced_architecture(GetParam()), {.threshold = 0, .depth = 0},
                            at::kFloat);
  const auto tubes = explained.tubes();
  for (std::size_t clip = 0; clip < 2; ++clip) {
    for (std::size_t l = 0; l < tubes[clip].size(); ++l) {
      const Tube& tube = tubes[clip][l];
      const PyramidPlan::Layer& layer = explained.plan.layers[l];
      SCOPED_TRACE(explained.executor.graph().node(layer.node).name);
      const double total = std::accumulate(tube.values.begin(), tube.values.end(), 0.0);
      // The rule at the signed input takes differences; elsewhere all terms are positive.
      if (layer.entering != 0) {
        EXPECT_GE(tube.minimum, 0);
      } else {
        EXPECT_GE(tube.minimum, -1e-6 * tube.maximum);
      }
      // Relevance is 1 at the class and never grows; found channels hold part of it.
      EXPECT_LE(total, 1 + 1e-4);
      if (layer.depth == 1) {
        EXPECT_GT(total, 0);
      }
    }
  }
}

TEST_P(Tubes, OfTheClassifierLieWhereItIsAveraged) {
  const test::TestNetwork made = test::reduced_architecture(GetParam());
  const Explained explained(made, {.depth = 1}, at::kFloat);
  const auto shapes = infer_shapes(explained.executor.graph(), made.clip_size);
  const Triple size = shapes[test::at_node(explained.plan.layers[0].tube)].size;
  const Tube tube = explained.tubes()[0].at(0);
  EXPECT_EQ((std::array<int64_t, 3>{tube.length, tube.height, tube.width}),
            (std::array<int64_t, 3>{size[0], size[1], size[2]}));
  const NodeId entering = explained.plan.layers[0].entering;
  const bool averaged =
      std::holds_alternative<GlobalAverage>(explained.executor.graph().node(entering).op);
  EXPECT_EQ(explained.plan.layers[0].tube != entering, averaged);
}

INSTANTIATE_TEST_SUITE_P(Architectures, Tubes, testing::ValuesIn(architecture_names()),
                         [](const auto& info) { return info.param; });

TEST(Tube, IsFlaggedWhereItIsConstant) {
  EXPECT_TRUE((Tube{.minimum = 2, .maximum = 2}).constant());
  EXPECT_TRUE(Tube{}.constant());
  EXPECT_FALSE((Tube{.minimum = 2, .maximum = 2.5F}).constant());
}

TEST(Tube, OfNothingFoundIsZeroAndFlagged) {
  Explained explained(test::reduced_architecture("resnet50_3d"), {.depth = 0}, at::kFloat);
  const std::size_t stem = explained.plan.layers.size() - 1;  // many positions enter it
  auto& channels = *explained.relevance[0][0].value;
  channels.found.assign(channels.found.size(), 0);
  const auto tubes = explained.tubes();
  EXPECT_TRUE(tubes[0][stem].constant());
  EXPECT_THAT(tubes[0][stem].values, testing::Each(0.0F));
  EXPECT_FALSE(tubes[1][stem].constant()) << "the other clip keeps its own";
}

}  // namespace
}  // namespace cfp
