// What taps see on average, against LibTorch's convolution with one tap of a window set to 1.
#include "stages/network/tap_means.h"

#include <algorithm>
#include <array>
#include <random>

#include <ATen/TensorOperators.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/conv3d.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include "tests/unit/network/tensor_helpers.h"

namespace cfp::test {
namespace {

using std::int64_t;

/// [B, C, taps] float64, one convolution a tap.
at::Tensor means_by_convolution(const at::Tensor& x, const Window& window) {
  const Padding& p = window.padding;
  const std::array<int64_t, 6> pad{p.before[2], p.after[2],  p.before[1],
                                   p.after[1],  p.before[0], p.after[0]};
  const at::Tensor in = at::constant_pad_nd(x.to(at::kDouble), pad, 0);
  const auto longs = [](const Triple& t) { return std::array<int64_t, 3>{t[0], t[1], t[2]}; };
  const int64_t channels = x.size(1);
  const int64_t taps = int64_t{1} * window.kernel[0] * window.kernel[1] * window.kernel[2];
  std::vector<at::Tensor> means;
  for (int64_t tap = 0; tap < taps; ++tap) {
    at::Tensor one = at::zeros({channels, taps}, at::kDouble);
    one.select(1, tap).fill_(1);
    const at::Tensor weight =
        one.view({channels, 1, window.kernel[0], window.kernel[1], window.kernel[2]});
    means.push_back(at::conv3d(in, weight, {}, longs(window.stride), {{0, 0, 0}},
                               longs(window.dilation), channels)
                        .mean({2, 3, 4}));
  }
  return at::stack(means, 2);
}

struct Case {
  Window window;
  std::vector<int64_t> shape;
};

Case random_case(std::uint64_t seed) {
  std::mt19937_64 random(seed);
  const auto between = [&](int low, int high) {
    return low + static_cast<int>(random() % static_cast<std::uint64_t>(high - low + 1));
  };
  Case made{{}, {between(1, 2), between(1, 40)}};
  for (std::size_t axis = 0; axis < 3; ++axis) {
    Window& w = made.window;
    w.kernel[axis] = between(1, 4);
    w.stride[axis] = between(1, 3);
    w.dilation[axis] = between(1, 2);
    w.padding.before[axis] = between(0, 3);
    w.padding.after[axis] = between(0, 3);
    const int span = w.dilation[axis] * (w.kernel[axis] - 1) + 1;
    const int least = span - w.padding.before[axis] - w.padding.after[axis];
    made.shape.push_back(std::max(1, least) + between(0, 12));
  }
  return made;
}

TEST(TapMeans, AreThoseOfAConvolutionWithOneTap) {
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    const Case made = random_case(seed);
    const at::Tensor x = random_tensor(made.shape, seed, at::kDouble);
    const at::Tensor expected = means_by_convolution(x, made.window);
    // Plain sums in float64.
    EXPECT_TRUE(close_to(tap_means(x, made.window), expected, 1e-13));
    // Sums of some thousand float32 numbers of both signs, against the largest mean.
    const at::Tensor last = x.to(at::kFloat).contiguous(at::MemoryFormat::ChannelsLast3d);
    EXPECT_TRUE(close_to(tap_means(last, made.window), expected, 2e-5));
  }
}

}  // namespace
}  // namespace cfp::test
