#include "stages/core/formula.h"

#include <gtest/gtest.h>

namespace cfp {
namespace {

/// The 64-bit test vectors that the authors of FNV publish (Fowler, Noll, Vo, FNV-1a).
TEST(Fnv1a64, GivesThePublishedHashes) {
  EXPECT_EQ(fnv1a64(""), 0xCBF29CE484222325ULL);
  EXPECT_EQ(fnv1a64("a"), 0xAF63DC4C8601EC8CULL);
  EXPECT_EQ(fnv1a64("foobar"), 0x85944171F73967E8ULL);
}

TEST(Fnv1a64, GoesOnFromAnEarlierHash) {
  EXPECT_EQ(fnv1a64("bar", fnv1a64("foo")), fnv1a64("foobar"));
}

TEST(Fnv1a64, TakesBytesAsUnsigned) { EXPECT_EQ(fnv1a64("\xFF"), 0xAF64724C8602EB6EULL); }

/// The first numbers of splitmix64 with the seed 1234567, as Rosetta Code lists them.
TEST(Mix64, GivesThePublishedNumbers) {
  constexpr std::uint64_t kSeed = 1234567;
  constexpr std::uint64_t kStep = 0x9E3779B97F4A7C15ULL;
  EXPECT_EQ(mix64(kSeed + kStep), 6457827717110365317ULL);
  EXPECT_EQ(mix64(kSeed + 2 * kStep), 3203168211198807973ULL);
  EXPECT_EQ(mix64(kSeed + 3 * kStep), 9817491932198370423ULL);
}

TEST(FormulaStream, IsUniform) {
  const FormulaStream stream(0, "conv1.weight");
  constexpr int kCount = 100000;
  double sum = 0;
  for (int i = 0; i < kCount; ++i) {
    const float value = stream.uniform(static_cast<std::uint64_t>(i));
    ASSERT_GE(value, 0.0F);
    ASSERT_LT(value, 1.0F);
    sum += value;
  }
  // The mean of 100000 such numbers has a deviation of 0.0009; the numbers are always the same.
  EXPECT_NEAR(sum / kCount, 0.5, 0.004);
}

TEST(FormulaStream, DependsOnNameAndSeed) {
  const FormulaStream stream(1, "conv1.weight");
  EXPECT_NE(stream.bits(0), FormulaStream(1, "conv2.weight").bits(0));
  EXPECT_NE(stream.bits(0), FormulaStream(2, "conv1.weight").bits(0));
  EXPECT_NE(stream.bits(0), stream.bits(1));
}

}  // namespace
}  // namespace cfp
