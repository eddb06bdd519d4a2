// Exported networks against PyTorch: logits and every layer's output; the six built-in ones also
// against their builders, pyramid for pyramid.
//
// The networks are defined in Python beside this file and exported when the tests run.
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <optional>

#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/zeros.h>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "stages/core/preprocess.h"
#include "stages/network/checkpoint/load_network.h"
#include "stages/network/executor.h"
#include "stages/network/exported/load_exported.h"
#include "stages/pyramid/explainer.h"
#include "tests/support/run_command.h"
#include "tests/support/test_data.h"

namespace cfp {
namespace {

namespace fs = std::filesystem;

// PyTorch's values are float64 rounded to float32 (6e-8), our own sums are in float64.
constexpr double kTolerance = 1e-6;

/// A folder with all networks, exported once a program; nothing where Python or PyTorch is missing.
const std::optional<fs::path>& exported_networks() {
  static const test::TemporaryFolder folder;
  static const std::optional<fs::path> made = []() -> std::optional<fs::path> {
    if (const char* given = std::getenv("CFP_EXPORTED_NETWORKS")) return given;
    const std::string python = test::python_with("torch.export", CFP_SOURCE_DIR);
    if (python.empty()) return std::nullopt;
    const test::CommandResult result =
        test::run_command(fmt::format("{} -W ignore {}/tests/golden/export_networks.py '{}'",
                                      python, CFP_SOURCE_DIR, folder.path().string()));
    EXPECT_EQ(result.exit_code, 0) << result.output;
    return folder.path();
  }();
  return made;
}

#define CFP_SKIP_WITHOUT_PYTORCH() \
  if (!exported_networks())        \
  GTEST_SKIP() << "needs a Python with PyTorch to export networks; CFP_PYTHON names one"

/// What PyTorch computed, by name.
std::map<std::string, at::Tensor> values_of(const std::string& name) {
  const std::string path = *exported_networks() / (name + ".values.pth");
  std::map<std::string, at::Tensor> values;
  for (const StoredTensor& stored : read_checkpoint(path).tensors) {
    const auto data = float_data(stored, path);
    values[stored.name] =
        at::from_blob(const_cast<float*>(data.get()), stored.shape).to(at::kDouble).clone();
  }
  return values;
}

ImportedNetwork imported(const std::string& file, int output = 0) {
  return import_program(read_exported_program(*exported_networks() / file), output);
}

double largest_error(const at::Tensor& found, const at::Tensor& expected) {
  return ((found - expected).abs().max() / expected.abs().max().clamp_min(1e-3)).item<double>();
}

struct Exported {
  std::string name;
  bool decomposed = false;
};

class ExportedNetwork : public testing::TestWithParam<Exported> {
 protected:
  std::string file() const {
    return GetParam().name + (GetParam().decomposed ? ".decomposed.pt2" : ".pt2");
  }
};

TEST_P(ExportedNetwork, ComputesWhatPyTorchDoes) {
  CFP_SKIP_WITHOUT_PYTORCH();
  const ImportedNetwork network = imported(file());
  const auto values = values_of(GetParam().name);
  const Executor executor(network.network, {.dtype = at::kDouble, .optimise = false});
  const Trace trace = executor.forward(values.at("input"), true);
  int layers = 0;
  for (const Node& node : executor.graph().nodes()) {
    const auto expected = values.find("layer:" + node.name);
    if (!is_layer(node) || expected == values.end()) continue;
    const at::Tensor& value =
        trace.values[static_cast<std::size_t>(executor.graph().find(node.name))];
    // Frames of a two-dimensional layer, channels last: what PyTorch's own layout is.
    at::Tensor same = value;
    if (expected->second.dim() == 4) same = value.permute({0, 2, 1, 3, 4}).flatten(0, 1);
    if (expected->second.dim() == 3) same = value.permute({0, 3, 4, 1, 2}).flatten(0, 2);
    if (expected->second.dim() == 5 && std::holds_alternative<Conv3d>(node.op) &&
        expected->second.size(4) == value.size(1) && expected->second.size(1) != value.size(1)) {
      same = value.permute({0, 2, 3, 4, 1});
    }
    ASSERT_EQ(same.numel(), expected->second.numel()) << node.name;
    EXPECT_LE(largest_error(same.reshape(expected->second.sizes()), expected->second), kTolerance)
        << node.name;
    ++layers;
  }
  EXPECT_GE(layers, 8);
  at::Tensor output = trace.logits;
  for (const std::string& note : network.notes) {
    if (note.find("softmax") != std::string::npos) output = output.softmax(1);
    if (note.find("sigmoid") != std::string::npos) output = output.sigmoid();
  }
  EXPECT_LE(largest_error(output, values.at("output")), kTolerance);
}

TEST_P(ExportedNetwork, ComputesTheSameInSinglePrecisionAfterThePasses) {
  CFP_SKIP_WITHOUT_PYTORCH();
  const ImportedNetwork network = imported(file());
  const at::Tensor input = values_of(GetParam().name).at("input");
  const at::Tensor expected =
      Executor(network.network, {.dtype = at::kDouble, .optimise = false}).forward(input).logits;
  const at::Tensor fast = Executor(network.network, {}).forward(input).logits;
  // Float32 through some fifty layers.
  EXPECT_LE(largest_error(fast.to(at::kDouble), expected), 1e-4);
}

Clip clip_of(const Triple& size) {
  Clip clip;
  clip.frames = {.length = size[0], .height = size[1], .width = size[2]};
  clip.frames.rgb_thwc.resize(static_cast<std::size_t>(size[0]) * size[1] * size[2] * 3);
  for (std::size_t i = 0; i < clip.frames.rgb_thwc.size(); ++i) {
    clip.frames.rgb_thwc[i] = static_cast<std::uint8_t>(i * 2654435761U >> 24);
  }
  return clip;
}

Pyramid explained(Network network, const Triple& size) {
  Explainer explainer(std::make_shared<const Network>(std::move(network)), {},
                      {.target = TargetKind::kPrediction, .depth = 0}, {.device = "cpu"});
  const Clip clip = clip_of(size);
  const auto outcomes = explainer.explain(std::span(&clip, 1));
  return std::get<ClipResult>(outcomes.at(0)).pyramids.at(0);
}

TEST_P(ExportedNetwork, IsExplainedDownToTheInput) {
  CFP_SKIP_WITHOUT_PYTORCH();
  ImportedNetwork network = imported(file());
  const std::vector<int> depths = layer_depths(network.network.graph);
  const auto routed = std::ranges::count_if(depths, [](int depth) { return depth > 0; });
  const Pyramid pyramid = explained(std::move(network.network), network.clip_size);
  EXPECT_EQ(static_cast<std::ptrdiff_t>(pyramid.layers.size()), routed);
  for (const PyramidLayer& layer : pyramid.layers) {
    EXPECT_EQ(layer.kernels.found.size(), layer.kernels.reached.size());
    EXPECT_TRUE(std::isfinite(layer.tube.maximum)) << layer.name;
  }
  EXPECT_EQ(pyramid.layers.back().channels.channels(), 3U) << "the deepest reads the clip";
  EXPECT_TRUE(std::ranges::any_of(pyramid.layers, [](const PyramidLayer& layer) {
    return layer.channels.channels() == 3 && std::ranges::count(layer.kernels.reached, 1) > 0;
  })) << "no chain of edges leads to a layer that reads the clip";
}

std::vector<Exported> all_networks() {
  std::vector<Exported> all;
  for (const char* name : {"mfnet3d", "i3d", "resnet50_3d", "resnet101_3d", "resnet152_3d",
                           "resnext101_3d", "r2plus1d_18", "s3d", "csn", "slowfast"}) {
    all.push_back({name, false});
    all.push_back({name, true});
  }
  all.push_back({"x3d", false});
  all.push_back({"odd", false});
  return all;
}

INSTANTIATE_TEST_SUITE_P(Networks, ExportedNetwork, testing::ValuesIn(all_networks()),
                         [](const auto& info) {
                           return info.param.name + (info.param.decomposed ? "_decomposed" : "");
                         });

// ---- the six against their builders ------------------------------------------------------------

ArchitectureOverrides reduced_resnet(std::vector<int> blocks) {
  return {.num_classes = 5, .blocks = std::move(blocks), .base_width = 4, .stem_channels = 6};
}

/// As in published_networks.py.
ArchitectureOverrides reduction_of(const std::string& name) {
  if (name == "mfnet3d") {
    return {.num_classes = 5,
            .blocks = {{2, 1, 2}},
            .base_width = 8,
            .groups = 4,
            .stem_channels = 4,
            .final_pool = Triple{2, 2, 2}};
  }
  if (name == "i3d") {
    return {
        .num_classes = 5, .blocks = {{2, 1, 2}}, .base_width = 8, .final_pool = Triple{2, 1, 1}};
  }
  if (name == "resnet50_3d") return reduced_resnet({1, 2, 1, 1});
  if (name == "resnet101_3d") return reduced_resnet({1, 1, 3, 1});
  if (name == "resnet152_3d") return reduced_resnet({2, 1, 2, 2});
  ArchitectureOverrides resnext = reduced_resnet({1, 2, 1, 1});
  resnext.base_width = 8;
  resnext.groups = 4;
  return resnext;
}

void expect_same(const ChannelRelevance& found, const ChannelRelevance& expected) {
  EXPECT_EQ(found.found, expected.found);
  EXPECT_EQ(found.reached, expected.reached);
  double largest = 0;
  for (const auto value : expected.positive) largest = std::max<double>(largest, std::abs(value));
  for (std::size_t c = 0; c < expected.positive.size(); ++c) {
    // The same sums in float32, perhaps in another order.
    EXPECT_NEAR(found.positive[c], expected.positive[c], 1e-4 * largest);
    EXPECT_NEAR(found.negative[c], expected.negative[c], 1e-4 * largest);
  }
}

void expect_same(const std::vector<Edge>& found, const std::vector<Edge>& expected) {
  ASSERT_EQ(found.size(), expected.size());
  double largest = 0;
  for (const Edge& edge : expected) largest = std::max<double>(largest, edge.score);
  for (std::size_t i = 0; i < expected.size(); ++i) {
    EXPECT_EQ(found[i].kernel, expected[i].kernel);
    EXPECT_EQ(found[i].channel, expected[i].channel);
    EXPECT_NEAR(found[i].score, expected[i].score, 1e-4 * largest);
  }
}

class ExportedArchitecture : public testing::TestWithParam<std::string> {};

TEST_P(ExportedArchitecture, HasThePyramidOfTheBuilder) {
  CFP_SKIP_WITHOUT_PYTORCH();
  for (const char* suffix : {".pt2", ".decomposed.pt2"}) {
    SCOPED_TRACE(suffix);
    ImportedNetwork network = imported(GetParam() + suffix);
    const Network built = load_network({.type = GetParam(),
                                        .checkpoint = *exported_networks() / (GetParam() + ".pth"),
                                        .input_size = network.clip_size,
                                        .overrides = reduction_of(GetParam())});
    EXPECT_EQ(tensor_specs(network.network.graph).size(), tensor_specs(built.graph).size());
    const Pyramid found = explained(std::move(network.network), network.clip_size);
    const Pyramid expected = explained(built, network.clip_size);
    EXPECT_EQ(found.target.class_index, expected.target.class_index);
    std::map<std::string, const PyramidLayer*> by_name;
    for (const PyramidLayer& layer : found.layers) by_name[layer.name] = &layer;
    ASSERT_EQ(found.layers.size(), expected.layers.size());
    for (const PyramidLayer& layer : expected.layers) {
      SCOPED_TRACE(layer.name);
      ASSERT_TRUE(by_name.contains(layer.name));
      const PyramidLayer& same = *by_name[layer.name];
      EXPECT_EQ(same.depth, layer.depth);
      expect_same(same.kernels, layer.kernels);
      expect_same(same.channels, layer.channels);
      expect_same(same.edges, layer.edges);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Six, ExportedArchitecture, testing::ValuesIn(architecture_names()),
                         [](const auto& info) { return info.param; });

// ---- choices and refusals ----------------------------------------------------------------------

TEST(ExportedOutputs, AreChosenByNumber) {
  CFP_SKIP_WITHOUT_PYTORCH();
  EXPECT_EQ(imported("odd.pt2", 0).network.num_classes(), 5);
  const ImportedNetwork other = imported("odd.pt2", 1);
  EXPECT_EQ(other.network.num_classes(), 3);
  EXPECT_THROW(other.network.graph.find("fc"), std::out_of_range) << "leads to the other head only";
  EXPECT_THROW(imported("odd.pt2", 2), ConfigError);
}

TEST(ExportedClips, MustHaveTheSizeOfTheExport) {
  CFP_SKIP_WITHOUT_PYTORCH();
  NetworkOptions options{.type = "exported", .file = *exported_networks() / "csn.pt2"};
  EXPECT_EQ(load_any_network(options).num_classes(), 5);
  options.input_size = Triple{8, 24, 24};
  EXPECT_THROW(load_any_network(options), ConfigError);
  // Where the config does not tell the size, the first clip does.
  const Executor executor(imported("csn.pt2").network, {});
  EXPECT_NO_THROW(executor.forward(at::zeros({1, 3, 6, 24, 24})));
  EXPECT_THROW(executor.forward(at::zeros({1, 3, 6, 24, 25})), ConfigError);
}

}  // namespace
}  // namespace cfp
