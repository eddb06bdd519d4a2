// The six networks against their original code: logits and what enters and leaves every layer.
//
// Every JSON file of the folder is a set of cases; the weights and inputs come from a formula.
#include <algorithm>
#include <cmath>
#include <fstream>
#include <map>

#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/from_blob.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "stages/network/builders.h"
#include "stages/network/executor.h"
#include "stages/network/random_weights.h"
#include "tests/support/test_data.h"

namespace cfp {
namespace {

using nlohmann::json;

// Ten times the worst float32 arithmetic seen on these cases (2e-6 of a standard deviation of the
// logits), 200 times below the smallest mistake a builder can make (4.5e-3).
constexpr double kLogitTolerance = 2e-5;
// Seen: 1.4e-6 of the tensor's rms with folded batch norms.
constexpr double kMeanTolerance = 1e-5;
constexpr double kMeanSquareTolerance = 1e-5;

const std::map<std::string, std::string> kArchitectureFromFile = {
    {"mfnet", "mfnet3d"},          {"i3d", "i3d"},
    {"resnet50", "resnet50_3d"},   {"resnet101", "resnet101_3d"},
    {"resnet152", "resnet152_3d"}, {"resnext101", "resnext101_3d"},
};

struct GoldenCase {
  std::string file, network;
  int index = 0;
  int num_classes = 0;
  bool optimise = true;
};

std::string name_of(const testing::TestParamInfo<GoldenCase>& info) {
  const GoldenCase& c = info.param;
  return std::filesystem::path(c.file).stem().string() + "_" + std::to_string(c.index) +
         (c.optimise ? "_optimised" : "_plain");
}

std::vector<GoldenCase> golden_cases() {
  std::vector<GoldenCase> cases;
  for (const auto& path : test::json_files(test::golden_networks())) {
    const json file = json::parse(std::ifstream(path));
    for (int i = 0; i < static_cast<int>(file.at("cases").size()); ++i) {
      for (const bool optimise : {true, false}) {
        cases.push_back({path.string(), file.at("network"), i, file.at("num_classes"), optimise});
      }
    }
  }
  return cases;
}

void expect_statistics(const at::Tensor& tensor, const json& layer, const std::string& side) {
  const double expected_mean = layer.at(side + "_mean");
  const double expected_square = layer.at(side + "_mean_square");
  const double rms = std::sqrt(expected_square);
  const at::Tensor values = tensor.to(at::kDouble);
  SCOPED_TRACE(layer.at("name").get<std::string>() + " " + side);
  EXPECT_NEAR(values.mean().item<double>(), expected_mean, kMeanTolerance * rms);
  EXPECT_NEAR((values * values).mean().item<double>() / expected_square, 1, kMeanSquareTolerance);
  if (!layer.contains(side + "_channel_means")) return;
  const at::Tensor means = values.flatten(2).mean(2);
  const auto& expected = layer.at(side + "_channel_means");
  for (std::size_t c = 0; c < expected.size(); ++c) {
    EXPECT_NEAR(means[0][static_cast<std::int64_t>(c)].item<double>(), expected[c].get<double>(),
                kMeanTolerance * rms)
        << "channel " << c;
  }
}

void expect_logits(const at::Tensor& logits, const json& golden) {
  const double unit = golden.at("logits_f64_std");
  double worst = 0;
  for (std::int64_t k = 0; k < logits.size(1); ++k) {
    const double expected = golden.at("logits_f64")[static_cast<std::size_t>(k)];
    worst = std::max(worst, std::abs(logits[0][k].item<double>() - expected));
  }
  EXPECT_LE(worst, kLogitTolerance * unit)
      << "largest error in standard deviations: " << worst / unit;
  const at::Tensor top = std::get<1>(logits[0].topk(static_cast<std::int64_t>(5)));
  for (int k = 0; k < 5; ++k) {
    EXPECT_EQ(top[k].item<int>(), golden.at("top5")[static_cast<std::size_t>(k)].get<int>());
  }
}

class GoldenNetworks : public testing::TestWithParam<GoldenCase> {};

TEST_P(GoldenNetworks, AgreesLayerByLayer) {
  const GoldenCase& param = GetParam();
  const json golden =
      json::parse(std::ifstream(param.file)).at("cases").at(static_cast<std::size_t>(param.index));
  const auto shape = golden.at("input_shape").get<std::vector<std::int64_t>>();
  const Triple size{static_cast<int>(shape[2]), static_cast<int>(shape[3]),
                    static_cast<int>(shape[4])};
  const std::uint64_t seed = golden.at("base_seed");
  Network network;
  network.graph = build_architecture(kArchitectureFromFile.at(param.network),
                                     {.num_classes = param.num_classes}, size);
  network.weights = formula_weights(network.graph, seed);
  std::vector<float> values = formula_input(size, seed);
  const at::Tensor input = at::from_blob(values.data(), shape);

  const Executor executor(network, {.optimise = param.optimise});
  const Trace trace = executor.forward(input, true);

  expect_logits(trace.logits, golden);
  const NetworkGraph& graph = executor.graph();
  for (const json& layer : golden.at("layers")) {
    const NodeId id = graph.find(layer.at("name").get<std::string>());
    const NodeId entering = graph.node(id).inputs.at(0);
    expect_statistics(trace.values[static_cast<std::size_t>(entering)], layer, "input");
    if (!param.optimise) {  // a folded batch norm changes what leaves a convolution
      expect_statistics(trace.values[static_cast<std::size_t>(id)], layer, "output");
    }
  }
}

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(GoldenNetworks);
INSTANTIATE_TEST_SUITE_P(Files, GoldenNetworks, testing::ValuesIn(golden_cases()), name_of);

TEST(GoldenFolder, IsThere) {
  CFP_SKIP_WITHOUT(test::golden_networks());
  EXPECT_FALSE(golden_cases().empty());
}

}  // namespace
}  // namespace cfp
