// Both bodies of every element-wise and windowed operation: one pass over float32 in channels-last
// layout, and plain ATen in float64. Inputs are multiples of 2^-23, so both start from equal
// numbers.
#include <ATen/TensorOperators.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros_like.h>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "stages/network/tensor_kernels.h"
#include "stages/network/tensor_kernels_cpu.h"
#include "tests/unit/network/tensor_helpers.h"

namespace cfp::test {
namespace {

// Products and differences are rounded once each, then up to 256 of one sign are added in float32:
// at most 259 roundings of 2^-24 each.
constexpr double kSumTolerance = 1.6e-5;
// A handful of roundings: difference, sum, quotient, product.
constexpr double kFewRoundings = 5 * 0x1p-24;

struct Shape {
  std::int64_t batch, channels, t, h, w;
  std::vector<std::int64_t> sizes() const { return {batch, channels, t, h, w}; }
};

std::string name_of(const testing::TestParamInfo<Shape>& info) {
  const Shape& s = info.param;
  return fmt::format("{}x{}x{}x{}x{}", s.batch, s.channels, s.t, s.h, s.w);
}

/// Odd numbers of channels; one block of 256 positions, less, more, and no whole number of them.
class Kernels : public testing::TestWithParam<Shape> {
 protected:
  at::Tensor random(std::uint64_t seed) const { return random_tensor(GetParam().sizes(), seed); }
};

INSTANTIATE_TEST_SUITE_P(Shapes, Kernels,
                         testing::Values(Shape{1, 1, 2, 9, 15}, Shape{3, 3, 2, 9, 15},
                                         Shape{1, 5, 4, 8, 8}, Shape{3, 17, 1, 3, 5},
                                         Shape{1, 64, 3, 10, 11}, Shape{3, 64, 1, 1, 1},
                                         Shape{3, 1, 1, 7, 7}, Shape{1, 17, 5, 16, 13},
                                         Shape{3, 5, 3, 16, 16}),
                         name_of);

void expect_sums(const ChannelSums& actual, const ChannelSums& expected) {
  EXPECT_TRUE(each_close_to(actual.positive, expected.positive, kSumTolerance));
  EXPECT_TRUE(each_close_to(actual.negative, expected.negative, kSumTolerance));
}

/// P and N as the method says them, spelled out.
ChannelSums sums_by_definition(const at::Tensor& g, const at::Tensor& x) {
  const at::Tensor product = g.to(at::kDouble) * x.to(at::kDouble);
  const at::Tensor zero = at::zeros_like(product);
  return {at::where(product > 0, product, zero).sum({2, 3, 4}),
          at::where(product < 0, -product, zero).sum({2, 3, 4})};
}

TEST(FastPath, TakesFloat32InChannelsLastLayoutOnly) {
  const at::Tensor plain = random_tensor({2, 5, 2, 3, 4}, 0, at::kFloat);
  const at::Tensor fast = channels_last_float(plain);
  EXPECT_TRUE(cpu::takes({fast}));
  EXPECT_TRUE(cpu::takes({fast, at::Tensor()}));
  EXPECT_FALSE(cpu::takes({plain}));
  EXPECT_FALSE(cpu::takes({fast, plain}));
  EXPECT_FALSE(cpu::takes({fast.to(at::kDouble)}));
  EXPECT_FALSE(cpu::takes({fast.flatten(2)}));
  EXPECT_FALSE(cpu::takes({fast.narrow(1, 0, 3)}));
}

TEST_P(Kernels, SumContributions) {
  const at::Tensor g = random(1), x = random(2);
  const ChannelSums expected = sums_by_definition(g, x);
  const at::Tensor fast_g = channels_last_float(g), fast_x = channels_last_float(x);
  ASSERT_TRUE(cpu::takes({fast_g, fast_x}));
  const ChannelSums fast = contribution_sums(fast_g, fast_x);
  EXPECT_EQ(fast.positive.scalar_type(), at::kDouble);
  expect_sums(fast, expected);
  expect_sums(contribution_sums(g, x), expected);
  expect_sums(contribution_sums(g.to(at::kFloat), x.to(at::kFloat)), expected);
  EXPECT_TRUE(equal_to(fast_g, g)) << "the gradient was overwritten";
}

/// relu_gradient() in both bodies against the definition, with and without ReLU and residual.
void check_relu_gradient(const at::Tensor& g, const at::Tensor& z, const at::Tensor& residual,
                         bool relu) {
  SCOPED_TRACE(testing::Message() << "relu " << relu << ", residual " << residual.defined());
  // y is rounded to float32 as an activation is, so that both bodies see the same.
  at::Tensor y = (residual.defined() ? z + residual : z).to(at::kFloat).to(at::kDouble);
  if (relu) y = y.clamp_min(0);
  const at::Tensor gradient = relu ? at::where(y > 0, g, at::zeros_like(g)) : g;
  const auto check = [&](const OutputGradient& actual) {
    EXPECT_TRUE(equal_to(actual.gradient, gradient));
    expect_sums(actual.value, sums_by_definition(gradient, y));
    if (residual.defined()) {
      expect_sums(actual.kernels, sums_by_definition(gradient, y - residual));
      expect_sums(actual.addend, sums_by_definition(gradient, residual));
    } else {
      EXPECT_TRUE(equal_to(actual.kernels.positive, actual.value.positive));
      EXPECT_TRUE(equal_to(actual.kernels.negative, actual.value.negative));
      EXPECT_FALSE(actual.addend.positive.defined());
    }
  };
  const at::Tensor fast_residual = residual.defined() ? channels_last_float(residual) : residual;
  ASSERT_TRUE(cpu::takes({channels_last_float(g), channels_last_float(y), fast_residual}));
  check(relu_gradient(channels_last_float(g), channels_last_float(y), fast_residual, relu));
  check(relu_gradient(g.clone(), y, residual, relu));
}

TEST_P(Kernels, StepBackThroughReluAndAddition) {
  // Half of what a ReLU gives is exactly zero, where the gradient must be zero too.
  for (const bool relu : {false, true}) {
    check_relu_gradient(random(3), random(4), {}, relu);
    check_relu_gradient(random(3), random(4), random(5), relu);
  }
}

TEST_P(Kernels, ScaleAndShift) {
  const at::Tensor x = random(6);
  const at::Tensor scale = random_tensor({GetParam().channels}, 7);
  const at::Tensor shift = random_tensor({GetParam().channels}, 8);
  for (const bool relu : {false, true}) {
    at::Tensor expected = x * scale.view({1, -1, 1, 1, 1}) + shift.view({1, -1, 1, 1, 1});
    if (relu) expected = expected.clamp_min(0);
    EXPECT_TRUE(close_to(scale_shift(x, scale, shift, relu), expected, 1e-15));
    const at::Tensor fast =
        scale_shift(channels_last_float(x), scale.to(at::kFloat), shift.to(at::kFloat), relu);
    EXPECT_TRUE(fast.is_contiguous(at::MemoryFormat::ChannelsLast3d));
    // Two roundings of numbers below 2; relative to the largest, which is near 1 but in the
    // smallest shapes.
    EXPECT_LE((fast.to(at::kDouble) - expected).abs().max().item<double>(), 2 * 0x1p-23);
  }
}

TEST_P(Kernels, ScaleAGradient) {
  const at::Tensor g = random(21);
  const at::Tensor add_to = random(22);
  const at::Tensor scale = random_tensor({GetParam().channels}, 23);
  const at::Tensor scaled = g * scale.view({1, -1, 1, 1, 1});
  EXPECT_TRUE(close_to(scale_gradient(g, scale, {}), scaled, 1e-15));
  EXPECT_TRUE(close_to(scale_gradient(g, scale, add_to), scaled + add_to, 1e-15));
  const at::Tensor fast =
      scale_gradient(channels_last_float(g), scale.to(at::kFloat), channels_last_float(add_to));
  EXPECT_TRUE(fast.is_contiguous(at::MemoryFormat::ChannelsLast3d));
  // Two roundings of numbers below 2.
  EXPECT_LE((fast.to(at::kDouble) - scaled - add_to).abs().max().item<double>(), 2 * 0x1p-23);
}

TEST_P(Kernels, ShareRelevance) {
  const at::Tensor relevance = random(9).abs();
  const at::Tensor activation = random(10).clamp_min(-0.25);
  const at::Tensor expected =
      at::where(activation > 0, relevance / activation.clamp_min(1e-9), at::zeros_like(relevance));
  EXPECT_TRUE(each_close_to(relevance_ratio(relevance, activation.clone()), expected, 1e-15));
  EXPECT_TRUE(each_close_to(
      relevance_ratio(channels_last_float(relevance), channels_last_float(activation)), expected,
      kFewRoundings));
  // Dead kernels: 0 / 0 is no NaN.
  const at::Tensor dead = at::zeros_like(relevance);
  EXPECT_TRUE(equal_to(relevance_ratio(relevance, dead.clone()), dead));
  EXPECT_TRUE(
      equal_to(relevance_ratio(channels_last_float(relevance), channels_last_float(dead)), dead));
}

TEST_P(Kernels, MultiplyByThePositivePart) {
  const at::Tensor x = random(11), factor = random(12);
  const at::Tensor product = at::where(x > 0, x * factor, at::zeros_like(x));
  EXPECT_TRUE(each_close_to(positive_product(x, factor.clone(), {}), product, 1e-15));
  EXPECT_TRUE(
      each_close_to(positive_product(channels_last_float(x), channels_last_float(factor), {}),
                    product, kFewRoundings));

  const at::Tensor add_to = random(19);
  EXPECT_TRUE(close_to(positive_product(x, factor.clone(), add_to), product + add_to, 1e-15));
  const at::Tensor fast_add_to = channels_last_float(add_to);
  // Sums may cancel: their error is relative to numbers near 1, not to each of them.
  EXPECT_LE((positive_product(channels_last_float(x), channels_last_float(factor), fast_add_to) -
             (product + add_to))
                .abs()
                .max()
                .item<double>(),
            2 * kFewRoundings);
}

TEST_P(Kernels, GatherChannels) {
  const at::Tensor x = random(20);
  const std::int64_t clip = GetParam().batch - 1;
  std::vector<std::int64_t> some, all;
  for (std::int64_t c = 0; c < GetParam().channels; ++c) {
    all.push_back(c);
    if (c % 3 != 1) some.push_back(c);
  }
  for (const auto& channels : {some, all, std::vector<std::int64_t>{all.back()}}) {
    std::vector<at::Tensor> rows;
    for (const std::int64_t c : channels) rows.push_back(x[clip][c]);
    const at::Tensor expected = at::stack(rows, 3);
    const at::Tensor plain = gather_channels(x, clip, channels);
    const at::Tensor fast = gather_channels(channels_last_float(x), clip, channels);
    EXPECT_TRUE(equal_to(plain, expected));
    EXPECT_TRUE(equal_to(fast, expected));
    EXPECT_TRUE(plain.is_contiguous());
    EXPECT_TRUE(fast.is_contiguous());
  }
}

TEST_P(Kernels, SplitRelevanceByPositiveParts) {
  const at::Tensor relevance = random(13).abs();
  const at::Tensor z = random(14), residual = random(15);
  const at::Tensor y = (z + residual).to(at::kFloat).to(at::kDouble);
  const at::Tensor first = (y - residual).clamp_min(0), second = residual.clamp_min(0);
  const at::Tensor total = first + second;
  const at::Tensor share =
      at::where(total > 0, relevance / total.clamp_min(1e-9), at::zeros_like(total));
  const auto check = [&](const AddendRelevance& actual, double tolerance) {
    EXPECT_TRUE(each_close_to(actual.first, first * share, tolerance));
    EXPECT_TRUE(each_close_to(actual.residual, second * share, tolerance));
    // Nothing is lost but where neither addend is positive.
    const at::Tensor kept = at::where(total > 0, relevance, at::zeros_like(relevance));
    EXPECT_TRUE(each_close_to(actual.first.to(at::kDouble) + actual.residual, kept, tolerance));
  };
  check(split_relevance(relevance, y, residual), 1e-14);
  check(split_relevance(channels_last_float(relevance), channels_last_float(y),
                        channels_last_float(residual)),
        kFewRoundings);
}

TEST_P(Kernels, GiveTheSameBitsForAnyNumberOfThreads) {
  const auto run = [&](int threads) {
    const ThreadCount count(threads);
    const OutputGradient out =
        relu_gradient(channels_last_float(random(16)), channels_last_float(random(17)),
                      channels_last_float(random(18)), true);
    return std::vector<at::Tensor>{out.gradient, out.value.positive, out.value.negative,
                                   out.kernels.positive, out.addend.negative};
  };
  const auto one = run(1);
  for (const int threads : {2, 3, 5}) {
    const auto several = run(threads);
    for (std::size_t i = 0; i < one.size(); ++i) EXPECT_TRUE(equal_to(several[i], one[i]));
  }
}

}  // namespace
}  // namespace cfp::test
