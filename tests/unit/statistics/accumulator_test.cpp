#include "results/statistics/accumulator.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "stages/core/formula.h"

namespace cfp {
namespace {

using testing::ElementsAre;

/// Numbers with a large offset, which a sum of squares would lose.
double number(std::uint64_t i) { return 1e6 + double{FormulaStream(3, "accumulator").uniform(i)}; }

TEST(Accumulator, AgreesWithTwoPassesOverTheNumbers) {
  Accumulator a;
  double sum = 0;
  constexpr int kCount = 1000;
  for (int i = 0; i < kCount; ++i) {
    a.add(number(i));
    sum += number(i);
  }
  const double mean = sum / kCount;
  double squares = 0;
  for (int i = 0; i < kCount; ++i) squares += (number(i) - mean) * (number(i) - mean);
  EXPECT_EQ(a.count(), kCount);
  EXPECT_NEAR(a.mean(), mean, 1e-12 * mean);
  // The offset costs 1e6^2 of the 1e16 that a double resolves, relative to a variance near 0.08.
  EXPECT_NEAR(a.variance(), squares / (kCount - 1), 1e-9);
  EXPECT_GE(a.minimum(), 1e6);
  EXPECT_LT(a.maximum(), 1e6 + 1);
}

TEST(Accumulator, OfNothingAndOfOneNumber) {
  Accumulator a;
  EXPECT_TRUE(a.empty());
  EXPECT_EQ(a.mean(), 0);
  EXPECT_EQ(a.deviation(), 0);
  EXPECT_EQ(a.minimum(), 0);
  a.add(-7);
  EXPECT_EQ(a.mean(), -7);
  EXPECT_EQ(a.deviation(), 0);
  EXPECT_EQ(a.minimum(), -7);
  EXPECT_EQ(a.maximum(), -7);
}

TEST(Accumulator, MergesRandomSplitsInAnyOrder) {
  Accumulator whole;
  for (int i = 0; i < 500; ++i) whole.add(number(i));
  const FormulaStream random(9, "splits");
  for (std::uint64_t split = 0; split < 20; ++split) {
    std::vector<Accumulator> parts(5);  // some of them stay empty
    for (int i = 0; i < 500; ++i) {
      parts[random.bits(split * 1000 + static_cast<std::uint64_t>(i)) % (split % 5 + 1)].add(
          number(i));
    }
    Accumulator merged;
    for (std::size_t k = 0; k < parts.size(); ++k) merged.merge(parts[(k + split) % 5]);
    EXPECT_EQ(merged.count(), whole.count());
    EXPECT_EQ(merged.minimum(), whole.minimum());
    EXPECT_EQ(merged.maximum(), whole.maximum());
    EXPECT_NEAR(merged.mean(), whole.mean(), 1e-12 * whole.mean());
    EXPECT_NEAR(merged.variance(), whole.variance(), 1e-9);
  }
}

TEST(TopK, KeepsTheFirstWhateverTheOrder) {
  TopK<int, std::greater<>> top(3);
  for (const int i : {4, 9, 1, 7, 8, 2}) top.add(i);
  EXPECT_THAT(top.items(), ElementsAre(9, 8, 7));
  TopK<int, std::greater<>> other(3);
  other.add(100);
  other.merge(top);
  EXPECT_THAT(other.items(), ElementsAre(100, 9, 8));
  TopK<int, std::greater<>> none(0);
  none.add(1);
  EXPECT_TRUE(none.items().empty());
}

}  // namespace
}  // namespace cfp
