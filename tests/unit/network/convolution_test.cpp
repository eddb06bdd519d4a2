// A convolution forward and back to its input, by the fused and by the plain operators, against
// LibTorch's autograd in float64.
#include "stages/network/convolution.h"

#include <ATen/Context.h>
#include <ATen/TensorOperators.h>
#include <c10/core/InferenceMode.h>
#include <gtest/gtest.h>

#include "tests/unit/network/reference_network.h"
#include "tests/unit/network/tensor_helpers.h"

namespace cfp::test {
namespace {

// Sums of up to 1,200 products in float32, in the order that the library likes. Seen: 1e-6 of the
// largest; Winograd, which the library may choose for 3x3, has a few times that.
constexpr double kFloatTolerance = 2e-5;
constexpr double kDoubleTolerance = 1e-13;

struct ConvCase {
  const char* name;
  Conv3d op;
  Triple size;
};

std::ostream& operator<<(std::ostream& out, const ConvCase& c) { return out << c.name; }

Padding same(int t, int h, int w) { return {{t, h, w}, {t, h, w}}; }

const ConvCase kCases[] = {
    {"pointwise", {.in_channels = 8, .out_channels = 16}, {2, 5, 7}},
    {"odd_channels", {.in_channels = 17, .out_channels = 5}, {3, 4, 5}},
    {"one_channel", {.in_channels = 1, .out_channels = 1}, {2, 3, 3}},
    {"padded_pointwise",
     {.in_channels = 4, .out_channels = 6, .padding = same(1, 1, 1)},
     {2, 3, 4}},
    {"cube",
     {.in_channels = 16, .out_channels = 8, .kernel = {3, 3, 3}, .padding = same(1, 1, 1)},
     {4, 7, 6}},
    {"without_padding", {.in_channels = 6, .out_channels = 7, .kernel = {2, 3, 1}}, {4, 7, 6}},
    {"strided_pointwise",  // the left-over positions get no gradient
     {.in_channels = 8, .out_channels = 16, .stride = {2, 2, 2}},
     {4, 8, 7}},
    {"strided",
     {.in_channels = 8,
      .out_channels = 16,
      .kernel = {3, 3, 3},
      .stride = {1, 2, 2},
      .padding = same(1, 1, 1)},
     {3, 8, 7}},
    {"left_over",
     {.in_channels = 5, .out_channels = 6, .kernel = {2, 2, 2}, .stride = {3, 3, 3}},
     {4, 7, 9}},
    {"dilated",
     {.in_channels = 8,
      .out_channels = 8,
      .kernel = {3, 3, 2},
      .dilation = {1, 2, 2},
      .padding = same(1, 2, 1)},
     {3, 8, 7}},
    {"dilated_and_strided",
     {.in_channels = 8,
      .out_channels = 9,
      .kernel = {2, 3, 3},
      .stride = {1, 2, 1},
      .dilation = {2, 2, 1},
      .padding = same(1, 2, 1)},
     {5, 9, 7}},
    {"grouped",
     {.in_channels = 32,
      .out_channels = 16,
      .kernel = {3, 3, 3},
      .padding = same(1, 1, 1),
      .groups = 4},
     {3, 5, 6}},
    {"grouped_and_strided",
     {.in_channels = 12,
      .out_channels = 24,
      .kernel = {1, 3, 3},
      .stride = {1, 2, 2},
      .padding = same(0, 1, 1),
      .groups = 3},
     {3, 6, 9}},
    {"grouped_and_strided_everywhere",
     {.in_channels = 12,
      .out_channels = 24,
      .kernel = {3, 3, 3},
      .stride = {2, 2, 2},
      .padding = same(1, 1, 1),
      .groups = 3},
     {4, 6, 9}},
    {"grouped_with_gaps",  // of three positions one is never seen; more padding than taps
     {.in_channels = 8,
      .out_channels = 12,
      .kernel = {2, 4, 1},
      .stride = {3, 3, 3},
      .padding = same(0, 3, 0),
      .groups = 4},
     {6, 8, 10}},
    {"depth_wise",
     {.in_channels = 8,
      .out_channels = 8,
      .kernel = {3, 3, 3},
      .padding = same(1, 1, 1),
      .groups = 8},
     {3, 5, 6}},
    {"depth_wise_twofold_and_strided",
     {.in_channels = 6,
      .out_channels = 12,
      .kernel = {3, 1, 3},
      .stride = {2, 1, 2},
      .padding = same(1, 0, 1),
      .groups = 6},
     {4, 5, 7}},
    {"uneven_padding",
     {.in_channels = 8, .out_channels = 6, .kernel = {3, 2, 3}, .padding = {{0, 0, 2}, {2, 1, 0}}},
     {3, 5, 6}},
    {"uneven_padding_and_stride",
     {.in_channels = 8,
      .out_channels = 6,
      .kernel = {3, 3, 3},
      .stride = {2, 2, 2},
      .padding = {{0, 1, 0}, {1, 2, 1}}},
     {4, 6, 7}},
    {"resnet_stem",
     {.in_channels = 3,
      .out_channels = 16,
      .kernel = {7, 7, 7},
      .stride = {1, 2, 2},
      .padding = same(3, 3, 3)},
     {4, 14, 13}},
    {"i3d_stem",
     {.in_channels = 3,
      .out_channels = 9,
      .kernel = {7, 7, 7},
      .stride = {2, 2, 2},
      .padding = {{2, 2, 3}, {3, 3, 3}}},
     {6, 14, 15}},
    {"mfnet_stem",
     {.in_channels = 3,
      .out_channels = 16,
      .kernel = {3, 5, 5},
      .stride = {1, 2, 2},
      .padding = same(1, 2, 2)},
     {9, 11, 12}},
    {"dilated_stem",
     {.in_channels = 3,
      .out_channels = 4,
      .kernel = {3, 3, 3},
      .dilation = {1, 2, 2},
      .padding = same(1, 2, 2)},
     {3, 7, 8}},
    {"long_stem", {.in_channels = 4, .out_channels = 3, .kernel = {1, 1, 17}}, {2, 3, 20}},
};

class Convolutions : public testing::TestWithParam<ConvCase> {
 protected:
  /// What everything is held against; float64.
  struct Expected {
    at::Tensor x, weight, bias, residual, g, y, gradient;
  };

  static Expected expected(int batch) {
    const ConvCase& c = GetParam();
    const Conv3d& op = c.op;
    Expected e;
    e.x = random_tensor({batch, op.in_channels, c.size[0], c.size[1], c.size[2]}, 1);
    e.weight = random_tensor(
        {op.out_channels, op.in_channels / op.groups, op.kernel[0], op.kernel[1], op.kernel[2]}, 2);
    e.bias = random_tensor({op.out_channels}, 3);
    const at::Tensor leaf = e.x.clone().set_requires_grad(true);
    const at::Tensor y = reference_convolution(op, leaf, e.weight);
    e.y = y.detach();
    e.residual = random_tensor(y.sizes().vec(), 4);
    e.g = random_tensor(y.sizes().vec(), 5);
    e.gradient = reference_gradient(y, leaf, e.g);
    return e;
  }

  /// Everything that a convolution can do, on copies made by `as`.
  template <class Convert>
  static void check(const Expected& e, bool fused, double tolerance, const Convert& as) {
    const c10::InferenceMode guard;  // as the executor calls it
    const Conv3d& op = GetParam().op;
    const auto dtype = as(e.x).scalar_type();
    const at::Tensor weight = e.weight.to(dtype), bias = e.bias.to(dtype);
    const Convolution plain(op, weight, {}, fused);
    const Convolution biased(op, weight, bias, fused);
    const at::Tensor with_bias = e.y + e.bias.view({1, -1, 1, 1, 1});
    const at::Tensor sum = with_bias + e.residual;

    EXPECT_TRUE(close_to(plain.forward(as(e.x), {}, false), e.y, tolerance));
    EXPECT_TRUE(close_to(biased.forward(as(e.x), {}, false), with_bias, tolerance));
    EXPECT_TRUE(close_to(biased.forward(as(e.x), {}, true), with_bias.clamp_min(0), tolerance));
    EXPECT_TRUE(close_to(biased.forward(as(e.x), as(e.residual), false), sum, tolerance));
    EXPECT_TRUE(
        close_to(biased.forward(as(e.x), as(e.residual), true), sum.clamp_min(0), tolerance));
    EXPECT_TRUE(
        close_to(plain.forward(as(e.x), as(e.residual), false), e.y + e.residual, tolerance));

    const at::Tensor x = as(e.x), residual = as(e.residual), g = as(e.g);
    biased.forward(x, residual, true);
    EXPECT_TRUE(equal_to(x, as(e.x))) << "the input was overwritten";
    EXPECT_TRUE(equal_to(residual, as(e.residual))) << "the residual was overwritten";

    const Triple size = GetParam().size;
    EXPECT_TRUE(close_to(biased.input_gradient(g, size), e.gradient, tolerance));
    EXPECT_TRUE(close_to(biased.input_gradient(g, size, as(e.x)), e.gradient + e.x, tolerance));
    EXPECT_TRUE(equal_to(g, as(e.g))) << "the gradient was overwritten";

    const auto doubled = biased.with_weight(weight * 2);
    EXPECT_FALSE(doubled->bias().defined());
    EXPECT_TRUE(close_to(doubled->forward(as(e.x), {}, false), e.y * 2, tolerance));
    EXPECT_TRUE(close_to(doubled->input_gradient(g, size), e.gradient * 2, tolerance));
  }
};

INSTANTIATE_TEST_SUITE_P(Cases, Convolutions, testing::ValuesIn(kCases),
                         [](const auto& info) { return std::string(info.param.name); });

TEST(FusedConvolutions, AreAvailableWithOneDnn) {
  if (!at::Context::hasMKLDNN()) GTEST_SKIP() << "this LibTorch was built without oneDNN";
  EXPECT_TRUE(fused_convolutions_available());
}

TEST_P(Convolutions, ByPlainOperatorsInFloat64) {
  check(expected(2), false, kDoubleTolerance, [](const at::Tensor& t) { return t.clone(); });
}

TEST_P(Convolutions, ByPlainOperatorsInFloat32) {
  check(expected(2), false, kFloatTolerance, channels_last_float);
}

TEST_P(Convolutions, ByFusedOperators) {
  if (!fused_convolutions_available()) GTEST_SKIP() << "this LibTorch has no fused operators";
  for (const int batch : {1, 3}) check(expected(batch), true, kFloatTolerance, channels_last_float);
}

TEST_P(Convolutions, ByFusedOperatorsInTheLayoutThatTheExecutorKeeps) {
  if (!fused_convolutions_available()) GTEST_SKIP() << "this LibTorch has no fused operators";
  const c10::InferenceMode guard;
  const Expected e = [] {
    const c10::InferenceMode off(false);
    return expected(2);
  }();
  const Convolution conv(GetParam().op, e.weight.to(at::kFloat), {}, true);
  EXPECT_TRUE(conv.forward(channels_last_float(e.x), {}, true)
                  .is_contiguous(at::MemoryFormat::ChannelsLast3d));
  EXPECT_TRUE(conv.input_gradient(channels_last_float(e.g), GetParam().size)
                  .is_contiguous(at::MemoryFormat::ChannelsLast3d));
}

// One convolution sees clips of several sizes; what was packed for one must not serve another.
TEST(FusedConvolutions, TakeClipsOfAnySizeInAnyOrder) {
  if (!fused_convolutions_available()) GTEST_SKIP() << "this LibTorch has no fused operators";
  const Conv3d op{.in_channels = 8,
                  .out_channels = 6,
                  .kernel = {3, 3, 3},
                  .stride = {1, 2, 2},
                  .padding = same(1, 1, 1)};
  const at::Tensor weight = random_tensor({6, 8, 3, 3, 3}, 1);
  const Convolution conv(op, weight.to(at::kFloat), {}, true);
  // Sizes 7 and 8 give equal outputs, so that only the left-over positions tell them apart.
  for (const Triple& size : {Triple{3, 7, 7}, {3, 8, 8}, {3, 7, 8}, {5, 9, 4}, {3, 7, 7}}) {
    SCOPED_TRACE(testing::Message() << size[0] << "x" << size[1] << "x" << size[2]);
    const at::Tensor x =
        random_tensor({2, 8, size[0], size[1], size[2]}, 2).set_requires_grad(true);
    const at::Tensor y = reference_convolution(op, x, weight);
    const at::Tensor g = random_tensor(y.sizes().vec(), 3);
    const at::Tensor gradient = reference_gradient(y, x, g);
    const c10::InferenceMode guard;
    EXPECT_TRUE(close_to(conv.forward(channels_last_float(x), {}, false), y, kFloatTolerance));
    EXPECT_TRUE(
        close_to(conv.input_gradient(channels_last_float(g), size), gradient, kFloatTolerance));
  }
}

}  // namespace
}  // namespace cfp::test
