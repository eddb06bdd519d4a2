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

  static StemGradients gradients(const Expected& e) {
    const Conv3d& op = GetParam().op;
    return stem_gradients(op, stem_runs(op, e.weight.detach().to(at::kFloat)),
                          channels_last_float(e.g), GetParam().size, channels_last_float(e.x));
  }

  /// [C_out, C_in] of one clip, by LibTorch's weight gradient.
  static at::Tensor expected_scores(const Expected& e, std::int64_t clip) {
    const at::Tensor y = reference_convolution(GetParam().op, e.x, e.weight);
    at::Tensor g = at::zeros_like(e.g);
    g[clip].copy_(e.g[clip]);
    return (reference_gradient(y, e.weight, g) * e.weight.detach()).sum({2, 3, 4});
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
      EXPECT_TRUE(close_to(gradients(e).input, e.at_input, kTolerance));
    }
  }
  const at::Tensor result = gradients(expected(2, 100)).input;
  EXPECT_TRUE(result.is_contiguous(at::MemoryFormat::ChannelsLast3d));
}

TEST_P(Stems, GiveTheScoresOfAllEdges) {
  for (const int percent : {100, 30, 3}) {
    SCOPED_TRACE(testing::Message() << percent << " %");
    const Expected e = expected(2, percent);
    const at::Tensor scores = gradients(e).scores;
    for (const std::int64_t clip : {0, 1}) {
      EXPECT_TRUE(close_to(scores[clip], expected_scores(e, clip), kTolerance));
    }
  }
}

TEST_P(Stems, GiveTheScoresAskedForAndTheSameGradient) {
  const Expected e = expected(2, 40);
  const Conv3d& op = GetParam().op;
  KernelMasks wanted(2, std::vector<std::uint8_t>(static_cast<std::size_t>(op.out_channels), 0));
  for (std::size_t k = 0; k < wanted[0].size(); k += 2) wanted[0][k] = 1;  // of clip 1 none
  const StemGradients found =
      stem_gradients(op, stem_runs(op, e.weight.detach().to(at::kFloat)), channels_last_float(e.g),
                     GetParam().size, channels_last_float(e.x), wanted);
  EXPECT_TRUE(equal_to(found.input, gradients(e).input));
  at::Tensor scores = expected_scores(e, 0).clone();
  for (std::int64_t k = 1; k < op.out_channels; k += 2) scores[k].zero_();
  EXPECT_TRUE(close_to(found.scores[0], scores, kTolerance));
  EXPECT_EQ(found.scores[1].abs().max().item<double>(), 0);
}

TEST_P(Stems, GiveTheSameGradientWithoutScores) {
  const Expected e = expected(2, 40);
  const Conv3d& op = GetParam().op;
  const StemGradients alone = stem_gradients(op, stem_runs(op, e.weight.detach().to(at::kFloat)),
                                             channels_last_float(e.g), GetParam().size);
  EXPECT_TRUE(equal_to(alone.input, gradients(e).input));
  EXPECT_FALSE(alone.scores.defined());
}

TEST_P(Stems, GiveZeroForAGradientOfZeros) {
  const Expected e = expected(2, 0);
  EXPECT_TRUE(equal_to(gradients(e).input, at::zeros_like(e.x)));
  EXPECT_TRUE(equal_to(gradients(e).scores, at::zeros_like(gradients(e).scores)));
}

TEST_P(Stems, GiveTheSameBitsForAnyNumberOfThreads) {
  const Expected e = expected(2, 60);
  const auto run = [&](int threads) {
    const ThreadCount count(threads);
    return gradients(e);
  };
  const StemGradients one = run(1);
  for (const int threads : {2, 3, 4}) {
    const StemGradients several = run(threads);
    EXPECT_TRUE(equal_to(several.input, one.input));
    EXPECT_TRUE(equal_to(several.scores, one.scores));
  }
}

TEST_P(Stems, GiveAClipWhatItGetsAlone) {
  const Expected both = expected(2, 40);
  Expected second = both;
  second.g = both.g.narrow(0, 1, 1).contiguous();
  second.x = both.x.detach().narrow(0, 1, 1).contiguous();
  EXPECT_TRUE(equal_to(gradients(second).input, gradients(both).input.narrow(0, 1, 1)));
  EXPECT_TRUE(equal_to(gradients(second).scores, gradients(both).scores.narrow(0, 1, 1)));
}

}  // namespace
}  // namespace cfp::test
