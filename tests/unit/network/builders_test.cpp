#include "stages/network/builders.h"

#include <fstream>
#include <map>
#include <sstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "stages/core/errors.h"
#include "stages/core/preprocess.h"
#include "tests/support/test_data.h"

namespace cfp {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

NetworkGraph published(const std::string& name) {
  return build_architecture(name, {}, architecture_defaults(name).input_size);
}

/// Learnt numbers: all tensors but a batch norm's running statistics.
std::int64_t parameter_count(const NetworkGraph& graph) {
  std::int64_t count = 0;
  for (const TensorSpec& spec : tensor_specs(graph)) {
    if (spec.name.find(".running_") != std::string::npos) continue;
    std::int64_t elements = 1;
    for (const std::int64_t extent : spec.shape) elements *= extent;
    count += elements;
  }
  return count;
}

int depth_of(const NetworkGraph& graph, std::string_view name) {
  return layer_depths(graph)[static_cast<std::size_t>(graph.find(name))];
}

TensorShape shape_of(const NetworkGraph& graph, std::string_view name, const Triple& size) {
  return infer_shapes(graph, size)[static_cast<std::size_t>(graph.find(name))];
}

/// Reads `name TAB 64x3x7x7x7` lines of a real state_dict; num_batches_tracked has no shape.
std::vector<TensorSpec> read_layout(const std::filesystem::path& path) {
  std::vector<TensorSpec> specs;
  std::ifstream file(path);
  EXPECT_TRUE(file) << path;
  for (std::string line; std::getline(file, line);) {
    std::istringstream fields(line);
    TensorSpec spec;
    std::string shape;
    fields >> spec.name >> shape;
    if (spec.name.ends_with(".num_batches_tracked")) continue;
    std::istringstream extents(shape);
    for (std::string extent; std::getline(extents, extent, 'x');) {
      spec.shape.push_back(std::stoll(extent));
    }
    specs.push_back(std::move(spec));
  }
  return specs;
}

TEST(Builders, GiveTheTensorsOfThePublicCheckpointsInTheirOrder) {
  const std::map<std::string, std::string> layout_from_architecture{
      {"i3d", "i3d_hassony2.tsv"},           {"mfnet3d", "mfnet3d.tsv"},
      {"resnet50_3d", "resnet50_old.tsv"},   {"resnet101_3d", "resnet101_old.tsv"},
      {"resnet152_3d", "resnet152_old.tsv"}, {"resnext101_3d", "resnext101_old.tsv"}};
  const std::filesystem::path folder = test::checkpoint_facts() / "checkpoint_layouts";
  CFP_SKIP_WITHOUT(folder);
  for (const auto& [architecture, file] : layout_from_architecture) {
    const std::vector<TensorSpec> layout = read_layout(folder / file);
    const std::vector<TensorSpec> specs = tensor_specs(published(architecture));
    ASSERT_EQ(specs.size(), layout.size()) << architecture;
    for (std::size_t i = 0; i < specs.size(); ++i) {
      ASSERT_EQ(specs[i].name, layout[i].name) << architecture << ", tensor " << i;
      ASSERT_EQ(specs[i].shape, layout[i].shape) << architecture << ", " << specs[i].name;
    }
  }
}

TEST(Builders, HaveThePublishedParameterCounts) {
  const std::map<std::string, std::int64_t> counts{
      {"i3d", 12'697'264},          {"mfnet3d", 7'996'368},        {"resnet50_3d", 47'018'576},
      {"resnet101_3d", 86'064'720}, {"resnet152_3d", 118'223'440}, {"resnext101_3d", 48'340'816}};
  for (const auto& [architecture, count] : counts) {
    EXPECT_EQ(parameter_count(published(architecture)), count) << architecture;
  }
}

/// Layers in the order of the calls with the shapes that the original code saw, at every size.
TEST(Builders, CallLayersInTheOrderAndShapesOfTheOriginals) {
  CFP_SKIP_WITHOUT(test::golden_networks());
  const auto shape_with_batch = [](const TensorShape& shape, std::size_t rank) {
    std::vector<int> extents{1, shape.channels, shape.size[0], shape.size[1], shape.size[2]};
    extents.resize(rank);
    return extents;
  };
  int cases = 0;
  for (const auto& path : test::json_files(test::golden_networks())) {
    const nlohmann::json golden = nlohmann::json::parse(std::ifstream(path));
    std::string name = golden.at("network");
    if (name != "i3d") name += name == "mfnet" ? "3d" : "_3d";
    for (const auto& golden_case : golden.at("cases")) {
      const std::vector<int> input = golden_case.at("input_shape");
      const Triple size{input[2], input[3], input[4]};
      const NetworkGraph graph =
          build_architecture(name, {.num_classes = golden.at("num_classes").get<int>()}, size);
      const std::vector<TensorShape> shapes = infer_shapes(graph, size);
      std::size_t next = 0;
      for (NodeId id = 0; id < graph.size(); ++id) {
        const Node& node = graph.node(id);
        if (!is_layer(node)) continue;
        ASSERT_LT(next, golden_case.at("layers").size()) << node.name;
        const auto& layer = golden_case.at("layers")[next++];
        ASSERT_EQ(node.name, layer.at("name").get<std::string>()) << path;
        const std::vector<int> in = layer.at("input_shape"), out = layer.at("output_shape");
        const auto reader = static_cast<std::size_t>(node.inputs[0]);
        ASSERT_EQ(shape_with_batch(shapes[reader], in.size()), in) << path << node.name;
        ASSERT_EQ(shape_with_batch(shapes[static_cast<std::size_t>(id)], out.size()), out)
            << path << node.name;
      }
      EXPECT_EQ(next, golden_case.at("layers").size()) << path;
      ++cases;
    }
  }
  EXPECT_GT(cases, 0);
}

TEST(Builders, CountDepthFromTheClass) {
  const NetworkGraph resnet = published("resnet50_3d");
  EXPECT_EQ(depth_of(resnet, "fc"), 1);
  EXPECT_EQ(depth_of(resnet, "layer4.2.conv3"), 2);
  EXPECT_EQ(depth_of(resnet, "layer4.2.conv2"), 3);
  EXPECT_EQ(depth_of(resnet, "layer4.2.conv1"), 4);
  EXPECT_EQ(depth_of(resnet, "layer4.1.conv3"), 5);
  EXPECT_EQ(depth_of(resnet, "layer4.0.conv3"), 8);
  EXPECT_EQ(depth_of(resnet, "layer4.0.downsample.0"), 8);
  EXPECT_EQ(depth_of(resnet, "conv1"), 50);
  const NetworkGraph i3d = published("i3d");
  EXPECT_EQ(depth_of(i3d, "conv3d_0c_1x1.conv3d"), 1);
  for (const char* branch : {"branch_0", "branch_1.1", "branch_2.1", "branch_3.1"}) {
    EXPECT_EQ(depth_of(i3d, std::string("mixed_5c.") + branch + ".conv3d"), 2) << branch;
  }
  EXPECT_EQ(depth_of(i3d, "mixed_5c.branch_1.0.conv3d"), 3);
  EXPECT_EQ(depth_of(i3d, "mixed_5b.branch_0.conv3d"), 4);
  const NetworkGraph mfnet = published("mfnet3d");
  EXPECT_EQ(depth_of(mfnet, "conv5.B03.conv_m2.conv"), 2);
  EXPECT_EQ(depth_of(mfnet, "conv5.B03.conv_i1.conv"), 5);
}

TEST(Builders, PadI3dOverTimeAsTensorFlowDoes) {
  const auto stem = [](int length) {
    const NetworkGraph graph = build_architecture("i3d", {}, {length, 224, 224});
    return std::get<Conv3d>(graph.node(graph.find("conv3d_1a_7x7.conv3d")).op).padding;
  };
  EXPECT_EQ(stem(16), (Padding{{2, 2, 2}, {3, 3, 3}}));
  EXPECT_EQ(stem(17), (Padding{{3, 2, 2}, {3, 3, 3}}));
  const auto pool = [](int length, std::string_view name) {
    const NetworkGraph graph = build_architecture("i3d", {}, {length, 223, 223});
    return std::get<MaxPool3d>(graph.node(graph.find(name)).op).padding;
  };
  // Height and width count as divisible by the stride, whatever they are.
  EXPECT_EQ(pool(16, "maxPool3d_2a_3x3"), (Padding{{0, 0, 0}, {0, 1, 1}}));
  EXPECT_EQ(pool(16, "maxPool3d_4a_3x3"), (Padding{{0, 0, 0}, {1, 1, 1}}));
  EXPECT_EQ(pool(17, "maxPool3d_4a_3x3"), (Padding{{1, 0, 0}, {1, 1, 1}}));  // 9 frames enter it
  EXPECT_EQ(pool(32, "maxPool3d_5a_2x2"), (Padding{{0, 0, 0}, {0, 0, 0}}));
  EXPECT_EQ(pool(17, "maxPool3d_5a_2x2"), (Padding{{0, 0, 0}, {1, 0, 0}}));  // 5 frames enter it
  EXPECT_EQ(pool(17, "mixed_5c.branch_3.0"), (Padding{{1, 1, 1}, {1, 1, 1}}));
}

TEST(Builders, TakeExactlyTheSizesOfTheOriginals) {
  const auto fits = [](const std::string& name, const Triple& size) {
    try {
      build_architecture(name, {}, size);
      return true;
    } catch (const ConfigError&) {
      return false;
    }
  };
  for (int side = 180; side <= 240; ++side) {
    EXPECT_EQ(fits("mfnet3d", {16, side, 224}), side >= 193 && side <= 224) << side;
    EXPECT_EQ(fits("mfnet3d", {16, 200, side}), side >= 193 && side <= 224) << side;
    EXPECT_EQ(fits("i3d", {16, side, 224}), side >= 194 && side <= 225) << side;
    EXPECT_EQ(fits("i3d", {16, 200, side}), side >= 194 && side <= 225) << side;
  }
  for (int length = 1; length <= 70; ++length) {
    EXPECT_EQ(fits("mfnet3d", {length, 224, 224}), length == 16) << length;
    EXPECT_EQ(fits("i3d", {length, 224, 224}), length >= 9) << length;
  }
  for (const Triple& size : {Triple{1, 1, 1}, Triple{3, 30, 171}, Triple{64, 112, 112}}) {
    EXPECT_TRUE(fits("resnet50_3d", size));
    EXPECT_TRUE(fits("resnext101_3d", size));
  }
  EXPECT_FALSE(fits("resnet50_3d", {0, 112, 112}));
  EXPECT_FALSE(fits("i3d", {-16, 224, 224}));
  EXPECT_FALSE(fits("mfnet3d", {16, 224, 1 << 30}));
}

TEST(Builders, SayWhichSizesTheyTake) {
  EXPECT_THAT(
      [] {
        build_architecture("i3d", {}, {8, 224, 224});
      },
      ThrowsMessage<ConfigError>(AllOf(HasSubstr("i3d"), HasSubstr("8x224x224"), HasSubstr("1x7x7"),
                                       HasSubstr("T from 9"))));
  EXPECT_THAT(
      [] {
        build_architecture("mfnet3d", {}, {15, 224, 224});
      },
      ThrowsMessage<ConfigError>(AllOf(HasSubstr("15x224x224"), HasSubstr("T = 16"))));
}

/// The demo's recipe names 277,000 parameters.
TEST(Builders, ExpressTheDemoNetwork) {
  const ArchitectureOverrides demo{.num_classes = 10,
                                   .blocks = std::vector{1, 2, 2, 1},
                                   .base_width = 8,
                                   .stem_channels = 16,
                                   .stem_kernel = Triple{3, 5, 5},
                                   .stem_stride = Triple{2, 2, 2}};
  const NetworkGraph graph = build_architecture("resnet50_3d", demo, {16, 64, 64});
  EXPECT_EQ(parameter_count(graph), 277'018);
  EXPECT_EQ(shape_of(graph, "conv1", {16, 64, 64}), (TensorShape{16, {8, 32, 32}}));
  EXPECT_EQ(shape_of(graph, "layer1.0.add", {16, 64, 64}), (TensorShape{32, {4, 16, 16}}));
  EXPECT_EQ(shape_of(graph, "layer4.0.add", {16, 64, 64}), (TensorShape{256, {1, 2, 2}}));
  EXPECT_EQ(graph.channels(graph.output()), 10);
}

TEST(Builders, MakeTinyNetworksOfEveryFamily) {
  const NetworkGraph resnext = build_architecture("resnext101_3d",
                                                  {.num_classes = 3,
                                                   .blocks = std::vector{1, 1},
                                                   .base_width = 8,
                                                   .groups = 4,
                                                   .stem_channels = 4,
                                                   .stem_pool = false},
                                                  {4, 12, 12});
  EXPECT_EQ(std::get<Conv3d>(resnext.node(resnext.find("layer2.0.conv2")).op).groups, 4);
  EXPECT_EQ(shape_of(resnext, "layer2.0.add", {4, 12, 12}), (TensorShape{32, {2, 3, 3}}));
  EXPECT_THROW(resnext.find("maxpool"), std::out_of_range);

  const NetworkGraph mfnet = build_architecture("mfnet3d",
                                                {.num_classes = 5,
                                                 .blocks = std::vector{2, 1},
                                                 .base_width = 8,
                                                 .groups = 2,
                                                 .stem_channels = 4,
                                                 .final_pool = Triple{2, 2, 2}},
                                                {4, 16, 16});
  EXPECT_EQ(shape_of(mfnet, "tail.relu", {4, 16, 16}), (TensorShape{16, {2, 2, 2}}));
  EXPECT_EQ(mfnet.channels(mfnet.output()), 5);

  const NetworkGraph i3d = build_architecture("i3d",
                                              {.num_classes = 4,
                                               .blocks = std::vector{1, 1, 1},
                                               .base_width = 4,
                                               .final_pool = Triple{2, 1, 1}},
                                              {17, 32, 32});
  EXPECT_EQ(shape_of(i3d, "mixed_5b.concat", {17, 32, 32}), (TensorShape{52, {3, 1, 1}}));
  EXPECT_EQ(shape_of(i3d, "conv3d_0c_1x1.conv3d", {17, 32, 32}), (TensorShape{4, {2, 1, 1}}));
}

TEST(Builders, OmitTheShortcutsConvolutionWhereNothingChanges) {
  const NetworkGraph graph =
      build_resnet3d({.blocks = {2}, .base_width = 4, .stem_channels = 16, .num_classes = 2});
  EXPECT_THROW(graph.find("layer1.0.downsample.0"), std::out_of_range);
  EXPECT_THAT(graph.node(graph.find("layer1.0.add")).inputs,
              ElementsAre(graph.find("layer1.0.bn3"), graph.find("maxpool")));
}

template <class F>
void expect_config_error(F build, const std::string& text) {
  EXPECT_THAT(build, ThrowsMessage<ConfigError>(HasSubstr(text)));
}

TEST(Builders, RefuseNumbersOutOfRange) {
  const auto resnet = [](ArchitectureOverrides overrides) {
    return [overrides] { build_architecture("resnet50_3d", overrides, {16, 112, 112}); };
  };
  expect_config_error(resnet({.num_classes = 0}), "num_classes is 0, allowed are 1 to");
  expect_config_error(resnet({.blocks = std::vector<int>{}}), "blocks has 0 entries");
  expect_config_error(resnet({.blocks = std::vector{1, 1, 1, 1, 1, 1, 1}}), "7 entries");
  expect_config_error(resnet({.blocks = std::vector{3, -1}}), "blocks[1] is -1");
  expect_config_error(resnet({.base_width = 1 << 30}), "base_width is 1073741824");
  expect_config_error(resnet({.base_width = 10, .groups = 4}), "must be a multiple of 4 (groups)");
  expect_config_error(resnet({.groups = 0}), "groups is 0");
  expect_config_error(resnet({.expansion = 0}), "expansion is 0");
  expect_config_error(resnet({.stem_kernel = Triple{7, 6, 7}}), "each must be odd");
  expect_config_error(resnet({.stem_kernel = Triple{7, 7, 9999}}), "stem_kernel is 7x7x9999");
  expect_config_error(resnet({.stem_stride = Triple{0, 1, 1}}), "stem_stride is 0x1x1");
  expect_config_error(resnet({.final_pool = Triple{1, 1, 1}}), "has no option 'final_pool'");
  expect_config_error(resnet({.base_width = 1024, .expansion = 16}), "parameters, allowed are");
}

TEST(Builders, RefuseWhatAFamilyDoesNotKnow) {
  const auto i3d = [](ArchitectureOverrides overrides) {
    return [overrides] { build_architecture("i3d", overrides, {16, 224, 224}); };
  };
  expect_config_error(i3d({.groups = 2}), "i3d has no option 'groups'");
  expect_config_error(i3d({.stem_channels = 2}), "i3d has no option 'stem_channels'");
  expect_config_error(i3d({.expansion = 2}), "i3d has no option 'expansion'");
  expect_config_error(i3d({.blocks = std::vector{2, 6, 2}}), "blocks[1] is 6, allowed are 1 to 5");
  expect_config_error(i3d({.blocks = std::vector{2, 5}}), "blocks has 2 entries, allowed are 3");
  const auto mfnet = [](ArchitectureOverrides overrides) {
    return [overrides] { build_architecture("mfnet3d", overrides, {16, 224, 224}); };
  };
  expect_config_error(mfnet({.expansion = 2}), "mfnet3d has no option 'expansion'");
  expect_config_error(mfnet({.base_width = 90}), "multiple of 4");
  expect_config_error(mfnet({.base_width = 100}), "multiple of 16");
  expect_config_error(mfnet({.stem_channels = 20}), "stem_channels is 20");
}

TEST(Builders, NameTheArchitecturesThereAre) {
  EXPECT_THAT(architecture_names(), ElementsAre("i3d", "mfnet3d", "resnet101_3d", "resnet152_3d",
                                                "resnet50_3d", "resnext101_3d"));
  for (const std::string& name : architecture_names()) {
    EXPECT_NO_THROW(preprocess_preset(architecture_defaults(name).preset)) << name;
  }
  expect_config_error(
      [] {
        build_architecture("resnet18", {}, {16, 112, 112});
      },
      "no architecture is called 'resnet18'; there are: i3d, mfnet3d");
}

}  // namespace
}  // namespace cfp
