// Maximum and average pools: both bodies against loops that follow the definition word by word.
#include <algorithm>
#include <limits>

#include <ATen/TensorOperators.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "stages/network/tensor_kernels.h"
#include "stages/network/tensor_kernels_cpu.h"
#include "tests/unit/network/reference_network.h"
#include "tests/unit/network/tensor_helpers.h"

namespace cfp::test {
namespace {

struct PoolCase {
  const char* name;
  MaxPool3d pool;
  Triple size;
};

std::ostream& operator<<(std::ostream& out, const PoolCase& c) { return out << c.name; }

const PoolCase kPoolCases[] = {
    {"one_by_one", {.kernel = {1, 1, 1}, .stride = {1, 1, 1}}, {2, 3, 3}},
    {"overlapping", {.kernel = {3, 3, 3}, .stride = {1, 1, 1}}, {4, 5, 6}},
    {"apart", {.kernel = {1, 2, 2}, .stride = {2, 3, 3}}, {3, 9, 8}},
    {"left_over", {.kernel = {2, 2, 2}, .stride = {2, 2, 2}}, {5, 7, 9}},
    {"padded",
     {.kernel = {3, 3, 3}, .stride = {2, 2, 2}, .padding = {{1, 1, 1}, {1, 1, 1}}},
     {4, 7, 8}},
    {"ceil", {.kernel = {2, 3, 2}, .stride = {2, 2, 2}, .ceil_mode = true}, {5, 8, 7}},
    {"padded_ceil",
     {.kernel = {3, 3, 3},
      .stride = {2, 2, 2},
      .padding = {{1, 1, 1}, {1, 1, 1}},
      .ceil_mode = true},
     {4, 6, 7}},
    {"window_only_in_padding_is_dropped",
     {.kernel = {2, 2, 2},
      .stride = {2, 2, 2},
      .padding = {{1, 1, 1}, {1, 1, 1}},
      .ceil_mode = true},
     {5, 7, 4}},
    {"zeros_around",
     {.kernel = {3, 3, 3},
      .stride = {1, 2, 2},
      .padding = {{1, 1, 1}, {1, 1, 1}},
      .zero_padding = true},
     {3, 6, 7}},
    {"zeros_behind",
     {.kernel = {1, 3, 3},
      .stride = {1, 2, 2},
      .padding = {{0, 0, 0}, {0, 1, 1}},
      .zero_padding = true},
     {2, 8, 6}},
    {"zeros_uneven_ceil",
     {.kernel = {3, 3, 2},
      .stride = {2, 2, 2},
      .padding = {{0, 1, 0}, {1, 1, 1}},
      .ceil_mode = true,
      .zero_padding = true},
     {4, 6, 5}},
    {"zeros_before",
     {.kernel = {2, 3, 3},
      .stride = {1, 1, 3},
      .padding = {{1, 2, 2}, {0, 0, 0}},
      .zero_padding = true},
     {2, 4, 7}},
};

/// Shape of the result, from the rule that graph_test.cpp holds against PyTorch.
Triple pooled_size(const PoolCase& c) {
  NetworkGraph graph;
  graph.add("input", Input{});
  graph.add("pool", c.pool, {0});
  return infer_shapes(graph, c.size)[1].size;
}

/// One window of one channel of one clip.
struct Window {
  Triple first;  ///< may be negative
  Triple last;   ///< one past the end
  bool padded;   ///< part of it is padding (of which only the true padding counts)
};

Window window_at(const PoolCase& c, const Triple& out) {
  Window window{};
  for (std::size_t a = 0; a < 3; ++a) {
    const int start = out[a] * c.pool.stride[a] - c.pool.padding.before[a];
    const int stop = std::min(start + c.pool.kernel[a], c.size[a] + c.pool.padding.after[a]);
    window.first[a] = std::max(start, 0);
    window.last[a] = std::min(stop, c.size[a]);
    window.padded = window.padded || start < 0 || stop > c.size[a];
  }
  return window;
}

struct Pooled {
  at::Tensor y, gradient;
};

/// Maxima, and g at the first position, in row-major order, of the largest number.
Pooled pool_by_definition(const PoolCase& c, const at::Tensor& x, const at::Tensor& g) {
  Pooled result{at::zeros_like(g), at::zeros_like(x)};
  const auto in = x.accessor<double, 5>();
  const auto from = g.accessor<double, 5>();
  auto y = result.y.accessor<double, 5>();
  auto to = result.gradient.accessor<double, 5>();
  const Triple out = size_of(g);
  for (std::int64_t i = 0; i < x.size(0) * x.size(1); ++i) {
    const std::int64_t b = i / x.size(1), ch = i % x.size(1);
    for (int p = 0; p < out[0] * out[1] * out[2]; ++p) {
      const Triple o{p / (out[1] * out[2]), p / out[2] % out[1], p % out[2]};
      const Window w = window_at(c, o);
      double best = -std::numeric_limits<double>::infinity();
      Triple winner{-1, -1, -1};
      if (c.pool.zero_padding && w.padded) best = 0;
      for (int t = w.first[0]; t < w.last[0]; ++t) {
        for (int h = w.first[1]; h < w.last[1]; ++h) {
          for (int k = w.first[2]; k < w.last[2]; ++k) {
            if (in[b][ch][t][h][k] <= best) continue;
            best = in[b][ch][t][h][k];
            winner = {t, h, k};
          }
        }
      }
      y[b][ch][o[0]][o[1]][o[2]] = best;
      if (winner[0] >= 0) {
        to[b][ch][winner[0]][winner[1]][winner[2]] += from[b][ch][o[0]][o[1]][o[2]];
      }
    }
  }
  return result;
}

class MaxPools : public testing::TestWithParam<PoolCase> {
 protected:
  /// Runs both bodies. Gradients are whole numbers, so that their sums are exact in any order.
  void check(const at::Tensor& x) {
    const PoolCase& c = GetParam();
    const Triple out = pooled_size(c);
    const at::Tensor g =
        (random_tensor({x.size(0), x.size(1), out[0], out[1], out[2]}, 2) * 100).round();
    const Pooled expected = pool_by_definition(c, x, g);

    const at::Tensor y = max_pool(x, c.pool);
    ASSERT_TRUE(equal_to(y, expected.y));
    EXPECT_TRUE(equal_to(max_pool_gradient(g, x, y, c.pool), expected.gradient));

    const at::Tensor fast_x = channels_last_float(x);
    ASSERT_TRUE(cpu::takes({fast_x}));
    const at::Tensor fast_y = max_pool(fast_x, c.pool);
    ASSERT_TRUE(equal_to(fast_y, expected.y));
    ASSERT_TRUE(cpu::takes({fast_y}));
    EXPECT_TRUE(equal_to(max_pool_gradient(channels_last_float(g), fast_x, fast_y, c.pool),
                         expected.gradient));
  }
  at::Tensor random(std::int64_t batch, std::int64_t channels) const {
    const Triple& size = GetParam().size;
    return random_tensor({batch, channels, size[0], size[1], size[2]}, 1);
  }
};

INSTANTIATE_TEST_SUITE_P(Pools, MaxPools, testing::ValuesIn(kPoolCases),
                         [](const auto& info) { return std::string(info.param.name); });

TEST_P(MaxPools, GiveTheLargestAndItsGradient) {
  check(random(1, 1));
  check(random(3, 3));
  check(random(1, 17));
  check(random(3, 64));
}

TEST_P(MaxPools, GiveTheFirstOfEquals) {
  // Four values only, so that most windows hold several equals. No zeros: whether padding of zeros
  // or an equal zero in the tensor wins does not matter, because a contribution g * 0 is 0.
  check((random(1, 5) * 2).floor() + 0.5);
  check((random(3, 17) * 2).floor() + 0.5);
}

TEST_P(MaxPools, GiveTheFirstOfEqualsWhereAllAreZero) {
  if (GetParam().pool.zero_padding) GTEST_SKIP() << "the padding may win against an equal zero";
  check(at::zeros_like(random(1, 3)));
}

TEST_P(MaxPools, AgreeWithTheFramework) {
  const at::Tensor x = random(2, 3);
  if (!GetParam().pool.zero_padding && !GetParam().pool.padding.symmetric()) {
    GTEST_SKIP() << "no framework pads a maximum unevenly";
  }
  const at::Tensor expected = reference_max_pool(GetParam().pool, x);
  EXPECT_TRUE(equal_to(max_pool(x, GetParam().pool), expected));
  EXPECT_TRUE(equal_to(max_pool(channels_last_float(x), GetParam().pool), expected));
}

TEST_P(MaxPools, GiveTheSameBitsForAnyNumberOfThreads) {
  const at::Tensor x = channels_last_float(random(2, 37));
  const auto run = [&](int threads) {
    const ThreadCount count(threads);
    const at::Tensor y = max_pool(x, GetParam().pool);
    return max_pool_gradient(channels_last_float(random_tensor(y.sizes().vec(), 3)), x, y,
                             GetParam().pool);
  };
  const at::Tensor one = run(1);
  EXPECT_TRUE(equal_to(run(2), one));
  EXPECT_TRUE(equal_to(run(3), one));
}

TEST(AveragePools, AreMeansOfWindows) {
  const AvgPool3d pool{.kernel = {2, 3, 2}, .stride = {1, 2, 3}};
  const at::Tensor x = random_tensor({2, 5, 4, 7, 9}, 1);
  const at::Tensor y = avg_pool(x, pool);
  ASSERT_EQ(y.sizes(), (std::vector<std::int64_t>{2, 5, 3, 3, 3}));
  for (const Triple& o : {Triple{0, 0, 0}, Triple{2, 1, 2}, Triple{1, 2, 0}}) {
    const at::Tensor mean =
        x.narrow(2, o[0], 2).narrow(3, 2 * o[1], 3).narrow(4, 3 * o[2], 2).mean({2, 3, 4});
    EXPECT_TRUE(close_to(y.select(4, o[2]).select(3, o[1]).select(2, o[0]), mean, 1e-14));
  }
  // Twelve roundings of float32.
  EXPECT_TRUE(close_to(avg_pool(channels_last_float(x), pool), y, 12 * 0x1p-24));
}

TEST(AveragePools, GiveGradientsThatAreTheirTranspose) {
  const AvgPool3d pool{.kernel = {2, 3, 2}, .stride = {1, 2, 3}};
  const at::Tensor x = random_tensor({2, 5, 4, 7, 9}, 1);
  const at::Tensor y = avg_pool(x, pool);
  const at::Tensor g = random_tensor(y.sizes().vec(), 2);
  const at::Tensor gradient = avg_pool_gradient(g, x, pool);
  // The pool is linear: a second clip tells a transpose from anything else.
  const at::Tensor other = random_tensor(x.sizes().vec(), 3);
  EXPECT_NEAR((gradient * other).sum().item<double>(),
              (g * avg_pool(other, pool)).sum().item<double>(), 1e-12);
  EXPECT_TRUE(close_to(avg_pool_gradient(channels_last_float(g), channels_last_float(x), pool),
                       gradient, 12 * 0x1p-24));
}

}  // namespace
}  // namespace cfp::test
