#include "stages/pyramid/selection.h"

#include <algorithm>
#include <random>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace cfp {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::vector<std::int64_t> found(const std::vector<double>& positive,
                                const std::vector<double>& negative,
                                const ExplainOptions& options) {
  return found_channels(select_channels(positive, negative, options));
}

TEST(Selection, ScoresByPositiveLessBalancedNegative) {
  const std::vector<double> positive{4, 3, 0}, negative{2, 0, 1};
  const ChannelRelevance half = select_channels(positive, negative, {.balance = 0.5});
  EXPECT_THAT(half.positive, ElementsAre(4, 3, 0));
  EXPECT_THAT(half.negative, ElementsAre(2, 0, 1));
  EXPECT_THAT(half.score, ElementsAre(3, 3, -0.5));
  EXPECT_THAT(half.reached, ElementsAre(0, 0, 0)) << "reaching is routing's affair";
  EXPECT_EQ(half.channels(), 3U);
  EXPECT_THAT(select_channels(positive, negative, {.balance = 1}).score, ElementsAre(2, 3, -1));
  EXPECT_THAT(select_channels(positive, negative, {.balance = 0}).score, ElementsAre(4, 3, 0));
}

TEST(Selection, FindsFromAShareOfTheLargestOnIncludingIt) {
  const std::vector<double> positive{8, 4, 3.9, 2, 0.1}, none(5, 0.0);
  EXPECT_THAT(found(positive, none, {.threshold = 0.5}), ElementsAre(0, 1));
  EXPECT_THAT(found(positive, none, {.threshold = 0.25}), ElementsAre(0, 1, 2, 3));
  EXPECT_THAT(found(positive, none, {.threshold = 1}), ElementsAre(0));
}

TEST(Selection, NeverFindsWhatIsNotPositive) {
  const std::vector<double> positive{1, 0, 1}, negative{0, 0, 4};
  EXPECT_THAT(found(positive, negative, {.threshold = 0}), ElementsAre(0));
  const std::vector<double> less{1, 0, 1}, more{2, 0, 3};
  EXPECT_THAT(found(less, more, {.threshold = 0}), IsEmpty());
  EXPECT_THAT(found(less, more, {.threshold = 0.3}), IsEmpty());
  EXPECT_THAT(found({}, {}, {}), IsEmpty());
}

TEST(Selection, KeepsTheLargestAndOfEqualsTheFirst) {
  const std::vector<double> positive{1, 3, 2, 3, 2, 2}, none(6, 0.0);
  EXPECT_THAT(found(positive, none, {.threshold = 0, .top_n = 1}), ElementsAre(1));
  EXPECT_THAT(found(positive, none, {.threshold = 0, .top_n = 3}), ElementsAre(1, 2, 3));
  EXPECT_THAT(found(positive, none, {.threshold = 0, .top_n = 4}), ElementsAre(1, 2, 3, 4));
  EXPECT_THAT(found(positive, none, {.threshold = 0, .top_n = 99}), ElementsAre(0, 1, 2, 3, 4, 5));
  EXPECT_THAT(found(positive, none, {.threshold = 0.9, .top_n = 3}), ElementsAre(1, 3))
      << "top_n adds nothing below the threshold";
}

TEST(Selection, NeverFindsWhatIsNoNumber) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const std::vector<double> positive{1, nan, 1}, none(3, 0.0);
  const ChannelRelevance relevance = select_channels(positive, none, {});
  EXPECT_EQ(relevance.found[1], 0);
}

/// The rule as the method states it: a channel is found if it is positive, reaches the share, and
/// fewer than top_n channels that are found so far come before it.
std::vector<std::int64_t> rule(const std::vector<double>& positive,
                               const std::vector<double>& negative, const ExplainOptions& options) {
  std::vector<double> score;
  for (std::size_t c = 0; c < positive.size(); ++c) {
    score.push_back(positive[c] - options.balance * negative[c]);
  }
  const double largest = *std::ranges::max_element(score);
  const auto passes = [&](std::size_t c) {
    return score[c] > 0 && score[c] >= options.threshold * largest;
  };
  std::vector<std::int64_t> result;
  for (std::size_t c = 0; c < score.size(); ++c) {
    if (!passes(c)) continue;
    int before = 0;
    for (std::size_t k = 0; k < score.size(); ++k) {
      before += passes(k) && (score[k] > score[c] || (score[k] == score[c] && k < c));
    }
    if (options.top_n == 0 || before < options.top_n) {
      result.push_back(static_cast<std::int64_t>(c));
    }
  }
  return result;
}

TEST(Selection, AgreesWithTheRuleOnRandomNumbers) {
  for (std::uint32_t seed = 0; seed < 2000; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    std::mt19937 random(seed);
    const std::size_t n = 1 + random() % 40;
    // Eighths: exact in float32 whatever the options, and equal ones are common.
    const auto eighths = [&] { return static_cast<double>(random() % 24) / 8; };
    std::vector<double> positive(n), negative(n);
    std::ranges::generate(positive, eighths);
    std::ranges::generate(negative, eighths);
    ExplainOptions options;
    options.threshold = static_cast<double>(random() % 5) / 4;
    options.balance = static_cast<double>(random() % 3) / 2;
    options.top_n = static_cast<int>(random() % 6);
    EXPECT_EQ(found(positive, negative, options), rule(positive, negative, options));
  }
}

}  // namespace
}  // namespace cfp
