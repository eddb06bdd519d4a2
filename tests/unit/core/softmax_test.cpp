#include "stages/core/softmax.h"

#include <array>

#include <gtest/gtest.h>

namespace cfp {
namespace {

TEST(SoftmaxProbability, OfTwoClassesIsTheLogisticFunction) {
  const std::array logits{1.5F, -0.5F};
  // One rounding of each exponential in double.
  EXPECT_NEAR(softmax_probability(logits, 0), 1 / (1 + std::exp(-2.0)), 1e-15);
  EXPECT_NEAR(softmax_probability(logits, 1), 1 / (1 + std::exp(2.0)), 1e-15);
}

TEST(SoftmaxProbability, StandsLargeLogits) {
  const std::array logits{3000.0F, -3000.0F, 3000.0F};
  EXPECT_EQ(softmax_probability(logits, 0), 0.5);
  EXPECT_EQ(softmax_probability(logits, 1), 0.0);
}

TEST(RankOfClass, CountsLargerLogitsAndEqualOnesBefore) {
  const std::array logits{2.0F, 5.0F, 2.0F, -1.0F};
  EXPECT_EQ(rank_of_class(logits, 1), 0U);
  EXPECT_EQ(rank_of_class(logits, 0), 1U);
  EXPECT_EQ(rank_of_class(logits, 2), 2U);
  EXPECT_EQ(rank_of_class(logits, 3), 3U);
}

}  // namespace
}  // namespace cfp
