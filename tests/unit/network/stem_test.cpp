// Gradients of a network's first convolution against LibTorch's in float64.
#include "stages/network/stem.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros_like.h>
#include <gtest/gtest.h>

#include "tests/unit/network/reference_network.h"
#include "tests/unit/network/tensor_helpers.h"

namespace cfp::test {
namespace {

// Sums of up to a few thousand products of both signs in float32, one after the other. Seen: 1e-6
// of the largest.
constexpr double kTolerance = 1e-5;

struct StemCase {
  const char* name;
  Conv3d op;
  Triple size;
};

std::ostream& operator<<(std::ostream& out, const StemCase& c) { return out << c.name; }

Padding same(int t, int h, int w) { return {{t, h, w}, {t, h, w}}; }

const StemCase kCases[] = {
    {"resnet",
     {.in_channels = 3,
      .out_channels = 16,
      .kernel = {7, 7, 7},
      .stride = {1, 2, 2},
      .padding = same(3, 3, 3)},
     {5, 14, 14}},
    {"i3d",
     {.in_channels = 3,
      .out_channels = 8,
      .kernel = {7, 7, 7},
      .stride = {2, 2, 2},
      .padding = {{2, 2, 2}, {3, 3, 3}}},
     {12, 15, 16}},
    {"mfnet",
     {.in_channels = 3,
      .out_channels = 16,
      .kernel = {3, 5, 5},
      .stride = {1, 2, 2},
      .padding = same(1, 2, 2)},
     {9, 11, 12}},
    {"small",
     {.in_channels = 3, .out_channels = 5, .kernel = {3, 3, 3}, .padding = same(1, 1, 1)},
     {6, 9, 10}},
    {"without_padding", {.in_channels = 3, .out_channels = 17, .kernel = {2, 3, 2}}, {4, 8, 9}},
    {"left_over",
     {.in_channels = 3, .out_channels = 4, .kernel = {2, 2, 2}, .stride = {3, 3, 3}},
     {10, 10, 13}},
    {"gaps_between_windows",
     {.in_channels = 2, .out_channels = 4, .kernel = {1, 1, 1}, .stride = {2, 3, 4}},
     {5, 8, 9}},
    {"one_channel",
     {.in_channels = 1, .out_channels = 1, .kernel = {1, 3, 9}, .padding = same(0, 1, 4)},
     {3, 5, 12}},
    {"two_channels_wide",
     {.in_channels = 2, .out_channels = 3, .kernel = {3, 1, 16}, .padding = same(1, 0, 8)},
     {3, 4, 20}},
    {"padding_before_only",
     {.in_channels = 3,
      .out_channels = 6,
      .kernel = {3, 3, 3},
      .stride = {2, 2, 2},
      .padding = {{1, 2, 2}, {0, 0, 0}}},
     {9, 8, 7}},
    {"padding_behind_only",
     {.in_channels = 3,
      .out_channels = 6,
      .kernel = {3, 3, 3},
      .stride = {2, 2, 2},
      .padding = {{0, 0, 0}, {1, 2, 2}}},
     {9, 8, 7}},
    {"long_clip",
     {.in_channels = 3, .out_channels = 2, .kernel = {5, 1, 1}, .padding = same(2, 0, 0)},
     {23, 2, 3}},
};

/// A gradient of which about `percent` percent are not zero.
at::Tensor sparse(const at::Tensor& g, int percent) {
  const at::Tensor chance = random_tensor(g.sizes().vec(), 77);  // in [-1, 1)
  return at::where(chance < percent / 50.0 - 1, g, at::zeros_like(g));
}

class Stems : public testing::TestWithParam<StemCase> {
 protected:
  struct Expected {
    at::Tensor x, weight, g, at_input, at_weight;
  };

  static Expected expected(int batch, int percent) {
    const Conv3d& op = GetParam().op;
    const Triple& size = GetParam().size;
    Expected e;
    e.x = random_tensor({batch, op.in_channels, size[0], size[1], size[2]}, 1)
              .set_requires_grad(true);
    e.weight = random_tensor(
                   {op.out_channels, op.in_channels, op.kernel[0], op.kernel[1], op.kernel[2]}, 2)
                   .set_requires_grad(true);
    const at::Tensor y = reference_convolution(op, e.x, e.weight);
    e.g = sparse(random_tensor(y.sizes().vec(), 3), percent);
    e.at_input = reference_gradient(y, e.x, e.g);
    e.at_weight = reference_gradient(y, e.weight, e.g);
    return e;
  }

  static at::Tensor input_gradient(const Expected& e) {
    const Conv3d& op = GetParam().op;
    return stem_input_gradient(op, stem_runs(op, e.weight.detach().to(at::kFloat)),
                               channels_last_float(e.g), GetParam().size, op.padding.before);
  }

  /// [B, C, T, H, W] -> [T, H, W, C] of one clip, float32, contiguous.
  static at::Tensor rows(const at::Tensor& ncthw, std::int64_t clip) {
    return ncthw.detach()[clip].permute({1, 2, 3, 0}).to(at::kFloat).contiguous();
  }

  static at::Tensor weight_gradient(const Expected& e, std::int64_t clip) {
    return stem_weight_gradient(GetParam().op, rows(e.g, clip), rows(e.x, clip));
  }
};

INSTANTIATE_TEST_SUITE_P(Cases, Stems, testing::ValuesIn(kCases),
                         [](const auto& info) { return std::string(info.param.name); });

TEST_P(Stems, AreTaken) { EXPECT_TRUE(is_stem(GetParam().op)); }

TEST(Stem, IsNoConvolutionWithGroupsDilationOrManyChannels) {
  const Conv3d stem{.in_channels = 3, .out_channels = 8, .kernel = {3, 3, 3}};
  EXPECT_TRUE(is_stem(stem));
  Conv3d op = stem;
  op.groups = 3, op.out_channels = 9;
  EXPECT_FALSE(is_stem(op));
  op = stem;
  op.dilation = {1, 1, 2};
  EXPECT_FALSE(is_stem(op));
  op = stem;
  op.in_channels = 64;
  EXPECT_FALSE(is_stem(op));
  op = stem;
  op.kernel = {1, 1, 33};
  EXPECT_FALSE(is_stem(op));
}

TEST_P(Stems, GiveTheGradientAtTheInput) {
  for (const int percent : {100, 30, 3}) {
    for (const int batch : {1, 2}) {
      SCOPED_TRACE(testing::Message() << percent << " %, batch " << batch);
      const Expected e = expected(batch, percent);
      EXPECT_TRUE(close_to(input_gradient(e), e.at_input, kTolerance));
    }
  }
  EXPECT_TRUE(input_gradient(expected(2, 100)).is_contiguous(at::MemoryFormat::ChannelsLast3d));
}

TEST_P(Stems, GiveZeroForAGradientOfZeros) {
  const Expected e = expected(2, 0);
  EXPECT_TRUE(equal_to(input_gradient(e), at::zeros_like(e.x)));
  EXPECT_TRUE(equal_to(weight_gradient(e, 1), at::zeros_like(e.weight.flatten(2))));
}

TEST_P(Stems, GiveTheGradientAtTheWeights) {
  for (const int percent : {100, 30, 3}) {
    SCOPED_TRACE(testing::Message() << percent << " %");
    // Both clips' gradients; LibTorch sums them up.
    const Expected e = expected(2, percent);
    const at::Tensor sum = weight_gradient(e, 0) + weight_gradient(e, 1);
    EXPECT_TRUE(close_to(sum, e.at_weight.flatten(2), kTolerance));
  }
}

TEST_P(Stems, GiveTheGradientAtTheWeightsOfSomeKernels) {
  const Expected e = expected(1, 50);
  const std::int64_t kernels = GetParam().op.out_channels;
  const at::Tensor some = rows(e.g, 0).narrow(3, kernels - 1, 1).contiguous();
  EXPECT_TRUE(close_to(stem_weight_gradient(GetParam().op, some, rows(e.x, 0)),
                       e.at_weight.flatten(2).narrow(0, kernels - 1, 1), kTolerance));
}

TEST_P(Stems, GiveTheSameBitsForAnyNumberOfThreads) {
  const Expected e = expected(2, 60);
  const auto run = [&](int threads) {
    const ThreadCount count(threads);
    return std::pair(input_gradient(e), weight_gradient(e, 0));
  };
  const auto one = run(1);
  for (const int threads : {2, 3, 4}) {
    const auto several = run(threads);
    EXPECT_TRUE(equal_to(several.first, one.first));
    EXPECT_TRUE(equal_to(several.second, one.second));
  }
}

TEST_P(Stems, GiveAClipWhatItGetsAlone) {
  const Expected both = expected(2, 40);
  Expected second = both;
  second.g = both.g.narrow(0, 1, 1).contiguous();
  EXPECT_TRUE(equal_to(input_gradient(second), input_gradient(both).narrow(0, 1, 1)));
}

}  // namespace
}  // namespace cfp::test
