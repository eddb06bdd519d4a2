#include "stages/network/random_weights.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <string>

#include <gtest/gtest.h>

#include "stages/network/builders.h"

namespace cfp {
namespace {

std::uint32_t bits_of(float value) { return std::bit_cast<std::uint32_t>(value); }

/// Sum of (j + 1) * bits of element j, modulo 2^64; j runs on from tensor to tensor.
class CheckSum {
 public:
  void add(const float* values, std::int64_t count) {
    for (std::int64_t i = 0; i < count; ++i) sum_ += ++position_ * bits_of(values[i]);
  }
  std::uint64_t sum() const { return sum_; }

 private:
  std::uint64_t sum_ = 0, position_ = 0;
};

struct Vector {
  std::uint64_t seed;
  const char* tensor;
  std::size_t index;
  std::uint32_t bits;
};

// Expected bits here and below: published with the golden files of the networks, made there by two
// programs independent of this one.
TEST(FormulaWeights, GiveTheTestVectors) {
  const Vector vectors[]{{1, "conv1.weight", 0, 0xbd9a8566},
                         {1, "conv1.weight", 12345, 0x3d8b497c},
                         {2, "conv1.weight", 7, 0x3d337a9e},
                         {1, "layer1.0.conv2.weight", 0, 0x3d4bdb7a},
                         {1, "layer1.0.conv2.weight", 12345, 0x3d1cf596},
                         {2, "layer1.0.conv2.weight", 7, 0x3d5cd36b},
                         {1, "fc.weight", 0, 0x3bc0f388},
                         {1, "fc.weight", 12345, 0x3b802faa},
                         {2, "fc.weight", 7, 0x3b0a567f},
                         {1, "fc.bias", 0, 0x3dbd3e7d},
                         {1, "fc.bias", 33, 0x3bbbe59a},
                         {2, "fc.bias", 7, 0xbd07f5bd},
                         {1, "bn1.weight", 0, 0x3f19ae80},
                         {1, "bn1.weight", 33, 0x3f201869},
                         {2, "bn1.weight", 7, 0x3f5f7766},
                         {1, "bn1.bias", 0, 0xbe278b57},
                         {1, "bn1.bias", 33, 0x3d9f8357},
                         {2, "bn1.bias", 7, 0x3d5fff00},
                         {1, "bn1.running_mean", 0, 0x3e3fc6fb},
                         {1, "bn1.running_mean", 33, 0x3ddd41a0},
                         {2, "bn1.running_mean", 7, 0x3cea830d},
                         {1, "bn1.running_var", 0, 0x3fad46e4},
                         {1, "bn1.running_var", 33, 0x3fb1fb4c},
                         {2, "bn1.running_var", 7, 0x3f5b5682}};
  const NetworkGraph graph = build_resnet3d({.blocks = {1, 1, 1, 1}});
  const Weights weights[]{formula_weights(graph, 1), formula_weights(graph, 2)};
  for (const Vector& v : vectors) {
    const WeightTensor& tensor = weights[v.seed - 1].at(v.tensor);
    EXPECT_EQ(bits_of(tensor.data.get()[v.index]), v.bits) << v.tensor << '[' << v.index << ']';
  }
}

TEST(FormulaWeights, GiveTheTestVectorsOfGroupedConvolutions) {
  const Weights one = formula_weights(build_mfnet3d({}), 1);
  const Weights two = formula_weights(build_mfnet3d({}), 2);
  const std::string name = "conv5.B03.conv_m2.conv.weight";
  EXPECT_EQ(bits_of(one.at(name).data.get()[0]), 0xbd682a4d);
  EXPECT_EQ(bits_of(one.at(name).data.get()[12345]), 0xbdb2917b);
  EXPECT_EQ(bits_of(two.at(name).data.get()[7]), 0xbdd0da66);
}

struct NetworkSum {
  const char* architecture;
  std::int64_t elements;
  std::uint64_t sum;
};

class FormulaWeightsOf : public testing::TestWithParam<NetworkSum> {};

TEST_P(FormulaWeightsOf, HaveTheCheckSum) {
  const auto& [architecture, elements, sum] = GetParam();
  const NetworkGraph graph =
      build_architecture(architecture, {}, architecture_defaults(architecture).input_size);
  const Weights weights = formula_weights(graph, 1);
  EXPECT_EQ(weights.size(), tensor_specs(graph).size());
  CheckSum check_sum;
  std::int64_t count = 0;
  for (const TensorSpec& spec : tensor_specs(graph)) {
    const WeightTensor& tensor = weights.at(spec.name);
    ASSERT_EQ(tensor.shape, spec.shape) << spec.name;
    check_sum.add(tensor.data.get(), tensor.elements());
    count += tensor.elements();
  }
  EXPECT_EQ(count, elements);
  EXPECT_EQ(check_sum.sum(), sum);
}

INSTANTIATE_TEST_SUITE_P(All, FormulaWeightsOf,
                         testing::Values(NetworkSum{"mfnet3d", 8033120, 0x5a506334be9534d9},
                                         NetworkSum{"i3d", 12711824, 0x137988b72cc9ff7d},
                                         NetworkSum{"resnet50_3d", 47071696, 0xfebef0b8e79c8b76},
                                         NetworkSum{"resnet101_3d", 86170064, 0x5d67e242e4bea1ff},
                                         NetworkSum{"resnet152_3d", 118374864, 0xf185b2383af5dfc4},
                                         NetworkSum{"resnext101_3d", 48478672, 0xbdabcf9c81c10a59}),
                         [](const auto& info) { return std::string(info.param.architecture); });

TEST(FormulaInput, HasTheTestVectorsAndCheckSums) {
  const auto sum_of = [](const std::vector<float>& values) {
    CheckSum check_sum;
    check_sum.add(values.data(), static_cast<std::int64_t>(values.size()));
    return check_sum.sum();
  };
  const std::vector<float> clip = formula_input({16, 112, 112}, 1);
  EXPECT_EQ(clip.size(), 3U * 16 * 112 * 112);
  EXPECT_EQ(bits_of(clip[0]), 0x3d1bfac0U);
  EXPECT_EQ(bits_of(clip[12345]), 0xbf08fa8aU);
  EXPECT_EQ(bits_of(formula_input({1, 2, 3}, 2)[7]), 0xbf5dad00U);
  EXPECT_EQ(sum_of(clip), 0xe3f572757233d606ULL);
  EXPECT_EQ(sum_of(formula_input({16, 224, 224}, 1)), 0x514f6f3dbe452000ULL);
}

TEST(FormulaWeights, ScaleALayerByItsFanInAndItsPlace) {
  // A convolution that gives the logits has gain 1, another one 2; a bias has a range of its own.
  NetworkGraph graph;
  graph.add("input", Input{});
  graph.add("hidden", Conv3d{.in_channels = 3, .out_channels = 64, .bias = true}, {0});
  graph.add("logits", Conv3d{.in_channels = 64, .out_channels = 999, .bias = true}, {1});
  graph.add("mean", GlobalAverage{}, {2});
  const Weights weights = formula_weights(graph, 7);
  const auto largest = [&](const char* name) {
    const WeightTensor& tensor = weights.at(name);
    float found = 0;
    for (std::int64_t i = 0; i < tensor.elements(); ++i) {
      found = std::max(found, std::abs(tensor.data.get()[i]));
    }
    return found;
  };
  // Of n uniform numbers the largest is within 10/n of the bound but for one time in e^10.
  EXPECT_NEAR(largest("hidden.weight"), std::sqrt(24.0 / 3) / 2,
              std::sqrt(24.0 / 3) / 2 * 10 / 192);
  EXPECT_NEAR(largest("logits.weight"), std::sqrt(12.0 / 64) / 2,
              std::sqrt(12.0 / 64) / 2 * 10 / (64 * 999));
  EXPECT_NEAR(largest("logits.bias"), 0.1, 0.1 * 10 / 999);
}

TEST(FormulaWeights, DependOnNameAndSeedAlone) {
  const auto conv = [](std::string name, int classes) {
    NetworkGraph graph;
    graph.add("input", Input{});
    graph.add(std::move(name), Conv3d{.in_channels = 3, .out_channels = 2}, {0});
    graph.add("mean", GlobalAverage{}, {1});
    graph.add("fc", Linear{.in_features = 2, .out_features = classes}, {2});
    return graph;
  };
  const auto first = [](const Weights& weights, const std::string& name) {
    return weights.at(name).data.get()[0];
  };
  EXPECT_EQ(first(formula_weights(conv("a", 2), 3), "a.weight"),
            first(formula_weights(conv("a", 9), 3), "a.weight"));
  EXPECT_NE(first(formula_weights(conv("a", 2), 3), "a.weight"),
            first(formula_weights(conv("a", 2), 4), "a.weight"));
  EXPECT_NE(first(formula_weights(conv("a", 2), 3), "a.weight"),
            first(formula_weights(conv("b", 2), 3), "b.weight"));
}

}  // namespace
}  // namespace cfp
