#include "stages/pyramid/edges.h"

#include <algorithm>
#include <ostream>
#include <random>

#include <ATen/TensorOperators.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/convolution_backward.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "stages/core/formula.h"
#include "stages/network/stem.h"
#include "tests/unit/pyramid/test_networks.h"

namespace cfp {
namespace {

using std::int64_t;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

struct EdgeCase {
  std::string name;
  Conv3d op;
  Triple size;  ///< of the input
};

void PrintTo(const EdgeCase& c, std::ostream* out) { *out << c.name; }

Padding around(const Triple& both) { return {both, both}; }

std::vector<EdgeCase> edge_cases() {
  return {
      {"Pointwise", {.in_channels = 9, .out_channels = 7}, {3, 4, 5}},
      {"Classifier", {.in_channels = 70, .out_channels = 5}, {1, 1, 1}},
      {"PointwiseStride2", {.in_channels = 6, .out_channels = 5, .stride = {2, 2, 2}}, {4, 5, 6}},
      {"Spatial",
       {.in_channels = 5, .out_channels = 6, .kernel = {1, 3, 3}, .padding = around({0, 1, 1})},
       {3, 5, 4}},
      {"Temporal",
       {.in_channels = 5, .out_channels = 6, .kernel = {3, 1, 1}, .padding = around({1, 0, 0})},
       {4, 3, 5}},
      {"Cube",
       {.in_channels = 6, .out_channels = 5, .kernel = {3, 3, 3}, .padding = around({1, 1, 1})},
       {4, 5, 6}},
      {"CubeWithoutPadding", {.in_channels = 4, .out_channels = 5, .kernel = {3, 3, 3}}, {4, 5, 6}},
      {"CubeStride2",
       {.in_channels = 6,
        .out_channels = 5,
        .kernel = {3, 3, 3},
        .stride = {2, 2, 2},
        .padding = around({1, 1, 1})},
       {5, 6, 7}},
      {"MixedStride",
       {.in_channels = 4,
        .out_channels = 5,
        .kernel = {3, 2, 3},
        .stride = {1, 2, 3},
        .padding = around({1, 0, 1})},
       {4, 7, 9}},
      {"Dilation",
       {.in_channels = 4,
        .out_channels = 3,
        .kernel = {3, 3, 3},
        .dilation = {1, 2, 2},
        .padding = around({1, 2, 2})},
       {4, 6, 7}},
      {"DilationAndStride",
       {.in_channels = 4,
        .out_channels = 3,
        .kernel = {2, 3, 3},
        .stride = {2, 1, 2},
        .dilation = {2, 2, 1},
        .padding = around({1, 2, 1})},
       {6, 6, 7}},
      {"AsymmetricPadding",
       {.in_channels = 4,
        .out_channels = 6,
        .kernel = {2, 3, 4},
        .padding = {{0, 2, 1}, {1, 0, 2}}},
       {4, 5, 6}},
      {"AsymmetricPaddingStride2",
       {.in_channels = 4,
        .out_channels = 6,
        .kernel = {3, 3, 3},
        .stride = {2, 2, 2},
        .padding = {{0, 1, 0}, {1, 0, 2}}},
       {5, 6, 7}},
      {"TwoGroups",
       {.in_channels = 8,
        .out_channels = 6,
        .kernel = {3, 3, 3},
        .padding = around({1, 1, 1}),
        .groups = 2},
       {3, 5, 4}},
      {"SixteenGroupsInBundles",
       {.in_channels = 64,
        .out_channels = 128,
        .kernel = {1, 3, 3},
        .stride = {1, 2, 2},
        .padding = around({0, 1, 1}),
        .groups = 16},
       {2, 5, 4}},
      {"SixteenGroups",
       {.in_channels = 32,
        .out_channels = 16,
        .kernel = {3, 3, 3},
        .padding = around({1, 1, 1}),
        .groups = 16},
       {3, 4, 4}},
      {"DepthWise",
       {.in_channels = 12,
        .out_channels = 12,
        .kernel = {3, 3, 3},
        .padding = around({1, 1, 1}),
        .groups = 12},
       {3, 5, 4}},
      {"DepthWiseTwice",
       {.in_channels = 6,
        .out_channels = 12,
        .kernel = {3, 1, 3},
        .stride = {2, 1, 1},
        .padding = around({1, 0, 1}),
        .groups = 6},
       {5, 3, 4}},
      {"Stem",
       {.in_channels = 3,
        .out_channels = 6,
        .kernel = {7, 7, 7},
        .stride = {1, 2, 2},
        .padding = around({3, 3, 3})},
       {5, 11, 12}},
      {"StemUnevenlyPadded",
       {.in_channels = 3,
        .out_channels = 5,
        .kernel = {7, 7, 7},
        .stride = {2, 2, 2},
        .padding = {{2, 2, 2}, {3, 3, 3}}},
       {6, 12, 12}},
      {"StemOfFibres",
       {.in_channels = 3,
        .out_channels = 4,
        .kernel = {3, 5, 5},
        .stride = {1, 2, 2},
        .padding = around({1, 2, 2})},
       {4, 12, 11}},
      {"SmallerThanTheKernel",
       {.in_channels = 4, .out_channels = 5, .kernel = {5, 5, 5}, .padding = around({2, 2, 2})},
       {1, 2, 1}},
      {"SmallerThanTheKernelStride2",
       {.in_channels = 4,
        .out_channels = 5,
        .kernel = {7, 7, 7},
        .stride = {2, 2, 2},
        .padding = around({3, 3, 3})},
       {1, 2, 3}},
      {"StemOnOnePosition",
       {.in_channels = 3,
        .out_channels = 5,
        .kernel = {7, 7, 7},
        .stride = {1, 2, 2},
        .padding = around({3, 3, 3})},
       {1, 1, 1}},
      {"OnlyPaddingBehind",
       {.in_channels = 3, .out_channels = 4, .kernel = {1, 1, 3}, .padding = {{}, {0, 0, 2}}},
       {2, 3, 1}},
  };
}

int64_t out_size(const Conv3d& op, int axis, int64_t in) {
  const int64_t padded = in + op.padding.before[axis] + op.padding.after[axis];
  return (padded - op.dilation[axis] * (op.kernel[axis] - 1) - 1) / op.stride[axis] + 1;
}

at::Tensor values(std::vector<int64_t> shape, const char* name) {
  int64_t n = 1;
  for (const int64_t extent : shape) n *= extent;
  const FormulaStream stream(7, name);
  std::vector<double> numbers(static_cast<std::size_t>(n));
  for (std::size_t i = 0; i < numbers.size(); ++i) numbers[i] = stream.uniform(i) - 0.4;
  return at::from_blob(numbers.data(), shape, at::kDouble).clone();
}

/// Everything a case needs, in float64: what enters [C, T, H, W], the gradient behind, the weights.
struct Material {
  at::Tensor x, g, weight;
};

Material material_of(const EdgeCase& c) {
  const Conv3d& op = c.op;
  const auto& k = op.kernel;
  Material m;
  m.x = values({op.in_channels, c.size[0], c.size[1], c.size[2]}, "x");
  m.g = values({op.out_channels, out_size(op, 0, c.size[0]), out_size(op, 1, c.size[1]),
                out_size(op, 2, c.size[2])},
               "g");
  // As behind a ReLU and a maximum: most of the gradient is 0.
  m.g = m.g * (values(m.g.sizes().vec(), "open") > 0);
  m.weight = values({op.out_channels, op.in_channels / op.groups, k[0], k[1], k[2]}, "weight");
  return m;
}

/// E by its definition, number by number; and the sum of |products|, which rounding goes by.
struct BruteForce {
  at::Tensor scores, magnitude;  ///< [C_out, C_in] float64
};

BruteForce brute_force(const Conv3d& op, const Material& m) {
  const int64_t in_width = op.in_channels / op.groups, out_width = op.out_channels / op.groups;
  const auto x = m.x.accessor<double, 4>();
  const auto g = m.g.accessor<double, 4>();
  const auto w = m.weight.accessor<double, 5>();
  BruteForce result{at::zeros({op.out_channels, op.in_channels}, at::kDouble),
                    at::zeros({op.out_channels, op.in_channels}, at::kDouble)};
  auto scores = result.scores.accessor<double, 2>();
  auto magnitude = result.magnitude.accessor<double, 2>();
  const auto met = [&](int axis, int64_t position, int64_t tap) {
    return position * op.stride[axis] + tap * op.dilation[axis] - op.padding.before[axis];
  };
  for (int64_t i = 0; i < op.out_channels; ++i)
    for (int64_t c = 0; c < in_width; ++c)
      for (int64_t kt = 0; kt < op.kernel[0]; ++kt)
        for (int64_t kh = 0; kh < op.kernel[1]; ++kh)
          for (int64_t kw = 0; kw < op.kernel[2]; ++kw)
            for (int64_t t = 0; t < g.size(1); ++t)
              for (int64_t h = 0; h < g.size(2); ++h)
                for (int64_t v = 0; v < g.size(3); ++v) {
                  const int64_t at = met(0, t, kt), ah = met(1, h, kh), av = met(2, v, kw);
                  if (at < 0 || ah < 0 || av < 0 || at >= x.size(1) || ah >= x.size(2) ||
                      av >= x.size(3)) {
                    continue;
                  }
                  const int64_t j = i / out_width * in_width + c;
                  const double product = w[i][c][kt][kh][kw] * g[i][t][h][v] * x[j][at][ah][av];
                  scores[i][j] += product;
                  magnitude[i][j] += std::abs(product);
                }
  return result;
}

/// What edge_scores() gives for some kernels and channels, as float64.
at::Tensor scores_of(const Conv3d& op, const Material& m, at::ScalarType type, EdgeInput input) {
  const Convolution layer(op, m.weight.to(type), {}, false);
  input.gradient = gather_channels(m.g.unsqueeze(0).to(type), 0, input.kernels);
  input.entering = m.x.unsqueeze(0).to(type).contiguous(at::MemoryFormat::ChannelsLast3d);
  return edge_scores(layer, input).to(at::kDouble);
}

at::Tensor part(const at::Tensor& all, const EdgeInput& input) {
  return all.index_select(0, at::tensor(input.kernels, at::kLong))
      .index_select(1, at::tensor(input.channels, at::kLong));
}

void expect_equal(const at::Tensor& scores, const BruteForce& expected, const EdgeInput& input,
                  double tolerance) {
  const at::Tensor error = (scores - part(expected.scores, input)).abs();
  const at::Tensor allowed = part(expected.magnitude, input) * tolerance;
  EXPECT_TRUE((error <= allowed).all().item<bool>())
      << "largest error " << error.max().item<double>() << " of numbers up to "
      << expected.scores.abs().max().item<double>();
}

// Rounding of a sum goes by the sum of its products' sizes: some 1e-16 a product in float64, and
// in float32 some 1e-7 times the square root of up to 1e4 products.
constexpr double kDoubleTolerance = 1e-12;
constexpr double kFloatTolerance = 1e-5;

class EdgeScores : public testing::TestWithParam<EdgeCase> {};

TEST_P(EdgeScores, AreTheirDefinition) {
  const EdgeCase& c = GetParam();
  const Material m = material_of(c);
  const BruteForce expected = brute_force(c.op, m);
  ASSERT_GT(expected.scores.abs().max().item<double>(), 0);
  const EdgeInput everything{.kernels = test::all_of(c.op.out_channels),
                             .channels = test::all_of(c.op.in_channels)};
  expect_equal(scores_of(c.op, m, at::kDouble, everything), expected, everything, kDoubleTolerance);
  expect_equal(scores_of(c.op, m, at::kFloat, everything), expected, everything, kFloatTolerance);
}

TEST_P(EdgeScores, AreTheSameForAnyPartOfKernelsAndChannels) {
  const EdgeCase& c = GetParam();
  const Material m = material_of(c);
  const BruteForce expected = brute_force(c.op, m);
  for (std::uint32_t seed = 0; seed < 8; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    std::mt19937 random(seed);
    const auto some = [&](int n) {
      std::vector<int64_t> all = test::all_of(n), chosen;
      const std::size_t count = 1 + random() % static_cast<std::size_t>(n);
      std::ranges::sample(all, std::back_inserter(chosen), static_cast<std::ptrdiff_t>(count),
                          random);
      return chosen;
    };
    const EdgeInput input{.kernels = some(c.op.out_channels), .channels = some(c.op.in_channels)};
    expect_equal(scores_of(c.op, m, at::kDouble, input), expected, input, kDoubleTolerance);
    expect_equal(scores_of(c.op, m, at::kFloat, input), expected, input, kFloatTolerance);
  }
}

/// LibTorch's own weight gradient times the weights, summed over the taps.
TEST_P(EdgeScores, AreTheWeightGradientTimesTheWeights) {
  const EdgeCase& c = GetParam();
  const Material m = material_of(c);
  const auto& p = c.op.padding;
  const at::Tensor padded = at::constant_pad_nd(
      m.x.unsqueeze(0), std::array<int64_t, 6>{p.before[2], p.after[2], p.before[1], p.after[1],
                                               p.before[0], p.after[0]});
  const auto longs = [](const Triple& t) { return std::array<int64_t, 3>{t[0], t[1], t[2]}; };
  const at::Tensor gradient = std::get<1>(at::convolution_backward(
      m.g.unsqueeze(0), padded, m.weight, std::nullopt, longs(c.op.stride), {0, 0, 0},
      longs(c.op.dilation), false, {0, 0, 0}, c.op.groups, {false, true, false}));
  const at::Tensor by_group = (gradient * m.weight).flatten(2).sum(2);
  const EdgeInput everything{.kernels = test::all_of(c.op.out_channels),
                             .channels = test::all_of(c.op.in_channels)};
  const at::Tensor scores = scores_of(c.op, m, at::kDouble, everything);
  const int64_t in_width = by_group.size(1), out_width = c.op.out_channels / c.op.groups;
  for (int64_t i = 0; i < c.op.out_channels; ++i) {
    const at::Tensor own = scores[i].narrow(0, i / out_width * in_width, in_width);
    EXPECT_LT((own - by_group[i]).abs().max().item<double>(),
              1e-12 * by_group.abs().max().item<double>())
        << "kernel " << i;
    // Nothing outside its group.
    EXPECT_EQ((scores[i] != 0).sum().item<int>(), (own != 0).sum().item<int>()) << "kernel " << i;
  }
}

INSTANTIATE_TEST_SUITE_P(Layers, EdgeScores, testing::ValuesIn(edge_cases()),
                         [](const auto& info) { return info.param.name; });

TEST(EdgeCases, MeetTheWayOfStems) {
  int stems = 0;
  for (const EdgeCase& c : edge_cases()) stems += is_stem(c.op);
  EXPECT_GE(stems, 4);
}

TEST(GatherChannels, TakesOneClipWithItsChannelsLast) {
  const at::Tensor tensor = values({2, 3, 2, 2, 2}, "x");
  const at::Tensor rows = gather_channels(tensor, 1, {0, 2});
  ASSERT_EQ(rows.sizes(), (std::vector<int64_t>{2, 2, 2, 2}));
  EXPECT_TRUE(rows.is_contiguous());
  EXPECT_TRUE(rows.select(3, 1).equal(tensor[1][2]));
  EXPECT_TRUE(gather_channels(tensor, 0, {0, 1, 2}).select(3, 1).equal(tensor[0][1]));
}

TEST(SelectEdges, KeepsWhatIsPositiveByKernelAndChannel) {
  const EdgeInput input{.kernels = {2, 5}, .channels = {1, 3, 4}};
  const at::Tensor scores = at::tensor({4., 0., -1., 1., 2., 8.}, at::kDouble).view({2, 3});
  EXPECT_THAT(select_edges(scores, input, 0),
              ElementsAre(Edge{2, 1, 4}, Edge{5, 1, 1}, Edge{5, 3, 2}, Edge{5, 4, 8}));
}

TEST(SelectEdges, HoldsTheThresholdAgainstTheKernelsOwnLargest) {
  const EdgeInput input{.kernels = {0, 1}, .channels = {0, 1, 2}};
  const at::Tensor scores = at::tensor({4., 1., 2., 16., 4., 3.}, at::kDouble).view({2, 3});
  EXPECT_THAT(
      select_edges(scores, input, 0.25),
      ElementsAre(Edge{0, 0, 4}, Edge{0, 1, 1}, Edge{0, 2, 2}, Edge{1, 0, 16}, Edge{1, 1, 4}));
  EXPECT_THAT(select_edges(scores, input, 1), ElementsAre(Edge{0, 0, 4}, Edge{1, 0, 16}));
}

TEST(SelectEdges, KeepsNothingOfAKernelWithoutPositiveEdges) {
  const EdgeInput input{.kernels = {0}, .channels = {0, 1}};
  EXPECT_THAT(select_edges(at::tensor({-1., 0.}, at::kDouble).view({1, 2}), input, 0.5), IsEmpty());
  EXPECT_THAT(select_edges(at::zeros({1, 0}), {.kernels = {0}}, 0.5), IsEmpty());
}

}  // namespace
}  // namespace cfp
