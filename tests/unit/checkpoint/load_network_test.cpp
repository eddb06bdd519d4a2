#include "stages/network/checkpoint/load_network.h"

#include <cstring>

#include <gtest/gtest.h>

#include "stages/network/checkpoint/inspect.h"
#include "stages/network/checkpoint/match_weights.h"
#include "stages/network/checkpoint/network_metadata.h"
#include "stages/network/checkpoint/safetensors.h"
#include "stages/network/random_weights.h"
#include "tests/support/test_data.h"
#include "tests/unit/checkpoint/support.h"

#define CFP_EXPECT_CONFIG_ERROR(statement, text) \
  EXPECT_THAT([&] { statement; },                \
              ::testing::ThrowsMessage<cfp::ConfigError>(::testing::HasSubstr(text)))

namespace cfp::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr Triple kSmallSize{8, 32, 32};

ArchitectureOverrides small_overrides() {
  return {.num_classes = 3,
          .blocks = std::vector<int>{1, 1},
          .base_width = 4,
          .stem_channels = 8,
          .stem_stride = Triple{2, 2, 2},
          .stem_pool = false};
}

class LoadNetwork : public testing::Test {
 protected:
  /// A small network in a file that says nothing of itself.
  std::string bare_file() {
    const NetworkGraph graph = build_architecture("resnet50_3d", small_overrides(), kSmallSize);
    std::vector<NamedWeight> weights;
    for (const auto& [name, weight] : formula_weights(graph, 9)) weights.push_back({name, weight});
    const std::string path = folder_ / "bare.safetensors";
    write_safetensors(path, weights, {});
    return path;
  }
  TemporaryFolder folder_;
};

TEST_F(LoadNetwork, MakesARandomOne) {
  const NetworkOptions options{.type = "resnet50_3d",
                               .num_classes = 7,
                               .seed = 4,
                               .input_size = kSmallSize,
                               .overrides = small_overrides()};
  const Network network = load_network(options);
  EXPECT_TRUE(network.random_weights);
  EXPECT_EQ(network.num_classes(), 7);
  EXPECT_EQ(network.architecture, "resnet50_3d");
  EXPECT_EQ(network.preset, "kenshohara2018");
  EXPECT_EQ(network.weights_hash, load_network(options).weights_hash);
  NetworkOptions other = options;
  other.seed = 5;
  EXPECT_NE(network.weights_hash, load_network(other).weights_hash);
  CFP_EXPECT_CONFIG_ERROR(load_network({}), "network.type is needed");
  CFP_EXPECT_CONFIG_ERROR(load_network({.type = "resnet51"}), "'resnet51'");
}

TEST_F(LoadNetwork, TakesOptionsForAFileThatSaysNothing) {
  const std::string path = bare_file();
  const Network network = load_network({.type = "resnet50_3d",
                                        .checkpoint = path,
                                        .input_size = kSmallSize,
                                        .overrides = small_overrides()});
  EXPECT_FALSE(network.random_weights);
  EXPECT_EQ(network.weights_hash, hash_weights(formula_weights(network.graph, 9)));
  CFP_EXPECT_CONFIG_ERROR(load_network({.checkpoint = path}), "network.type is needed");
  CFP_EXPECT_CONFIG_ERROR(load_network({.checkpoint = path}), "blocks 1,1");
  CFP_EXPECT_REFUSED(load_network({.type = "resnet50_3d", .checkpoint = path}), "missing");
  CFP_EXPECT_REFUSED(load_network({.type = "i3d", .checkpoint = folder_ / "absent"}),
                     "No such file");
}

TEST_F(LoadNetwork, NeedsNoOptionsForAConvertedFile) {
  const std::string path = folder_ / "converted.safetensors";
  const Network written = convert_checkpoint(bare_file(), path,
                                             {.type = "resnet50_3d",
                                              .class_names = {"left", "right", "up, down"},
                                              .preset = "demo",
                                              .input_size = kSmallSize,
                                              .overrides = small_overrides()});
  const Network network = load_network({.checkpoint = path});
  EXPECT_EQ(network.architecture, "resnet50_3d");
  EXPECT_EQ(network.preset, "demo");
  EXPECT_THAT(network.class_names, ElementsAre("left", "right", "up, down"));
  EXPECT_EQ(network.graph, written.graph);
  EXPECT_EQ(network.weights_hash, written.weights_hash);
  // Tensors stand in the order of the graph.
  const Checkpoint checkpoint = read_checkpoint(path);
  const std::vector<TensorSpec> specs = tensor_specs(network.graph);
  ASSERT_EQ(checkpoint.tensors.size(), specs.size());
  for (std::size_t i = 0; i < specs.size(); ++i) {
    EXPECT_EQ(checkpoint.tensors[i].name, specs[i].name);
  }
  EXPECT_EQ(checkpoint.metadata.at("source"), "bare.safetensors");
  // What is asked for must agree with what the file says.
  CFP_EXPECT_REFUSED(load_network({.type = "i3d", .checkpoint = path}),
                     "is a resnet50_3d, the config asks for i3d");
  CFP_EXPECT_REFUSED(load_network({.num_classes = 4, .checkpoint = path}),
                     "the checkpoint has 3 classes, the config says 4");
}

TEST_F(LoadNetwork, ConvertsNothingThatItWouldNotLoad) {
  const std::string path = folder_ / "out.safetensors";
  CFP_EXPECT_REFUSED(convert_checkpoint(bare_file(), path, {.type = "resnet50_3d"}), "missing");
  CFP_EXPECT_CONFIG_ERROR(convert_checkpoint(bare_file(), path, {.preset = "none"}), "'none'");
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST_F(LoadNetwork, RefusesBadMetadata) {
  const auto with = [&](const std::string& key, const std::string& value) {
    const std::string path = folder_ / "meta.safetensors";
    const auto one = std::make_shared<float>(1.0F);
    write_safetensors(path, std::vector<NamedWeight>{{"a", {{1}, one}}}, {{key, value}});
    return NetworkOptions{.checkpoint = path};
  };
  CFP_EXPECT_REFUSED(load_network(with("architecture", "vgg")), "'vgg' that is not known");
  CFP_EXPECT_REFUSED(load_network(with("overrides", "{\"depth\":3}")),
                     "no override is called 'depth'");
  CFP_EXPECT_REFUSED(load_network(with("overrides", "{\"blocks\":[1,")), "metadata 'overrides'");
  CFP_EXPECT_REFUSED(load_network(with("overrides", "{\"groups\":99999999999}")), "out of range");
  CFP_EXPECT_REFUSED(load_network(with("input_size", "[16,112]")), "three numbers");
  CFP_EXPECT_REFUSED(load_network(with("class_names", "[\"a\",1]")), "'\"' expected");
}

TEST_F(LoadNetwork, GuessesThePresetOfPublicFiles) {
  Checkpoint old_one;
  Checkpoint new_one;
  new_one.tensors.push_back({.name = "module.bn1.num_batches_tracked"});
  EXPECT_EQ(guess_preset(old_one, "mfnet3d", 101), "mfnet");
  EXPECT_EQ(guess_preset(new_one, "i3d", 400), "i3d");
  EXPECT_EQ(guess_preset(old_one, "resnet50_3d", 101), "kenshohara2018");
  EXPECT_EQ(guess_preset(new_one, "resnet50_3d", 700), "kenshohara2020");
  EXPECT_EQ(guess_preset(new_one, "resnet50_3d", 101), "");  // either
}

TEST_F(LoadNetwork, RefusesAClassListOfAnotherLength) {
  const NetworkOptions options{.type = "resnet50_3d",
                               .num_classes = 3,
                               .class_names = {"a", "b"},
                               .input_size = kSmallSize,
                               .overrides = small_overrides()};
  CFP_EXPECT_CONFIG_ERROR(load_network(options), "2 class names for a network of 3 classes");
}

TEST(NetworkMetadata, ReadsBackWhatItWrote) {
  NetworkMetadata metadata{.architecture = "i3d",
                           .preset = "i3d",
                           .class_names = {"a", "b \"c\""},
                           .input_size = Triple{16, 64, 64}};
  metadata.overrides = {.num_classes = 2,
                        .blocks = std::vector<int>{1, 2},
                        .base_width = 8,
                        .expansion = 2,
                        .groups = 4,
                        .stem_channels = 6,
                        .stem_kernel = Triple{3, 5, 7},
                        .stem_stride = Triple{1, 2, 3},
                        .stem_pool = false,
                        .final_pool = Triple{2, 1, 1}};
  const NetworkMetadata back = parse_metadata(metadata_entries(metadata), "f");
  EXPECT_EQ(metadata_entries(back), metadata_entries(metadata));
  EXPECT_EQ(back.class_names, metadata.class_names);
  EXPECT_EQ(back.input_size, metadata.input_size);
  EXPECT_EQ(back.overrides.stem_pool, std::optional(false));
  EXPECT_EQ(back.overrides.blocks, metadata.overrides.blocks);
  EXPECT_EQ(back.overrides.final_pool, metadata.overrides.final_pool);
}

TEST(DescribeCheckpoint, SaysWhatAReaderNeeds) {
  Checkpoint checkpoint{.path = "r.pth", .format = "legacy .pth", .tensors = {}, .metadata = {}};
  for (const TensorSpec& spec :
       tensor_specs(build_architecture("resnet101_3d", {.num_classes = 101}, {16, 112, 112}))) {
    checkpoint.tensors.push_back({.name = "module." + spec.name, .shape = spec.shape});
  }
  checkpoint.metadata["epoch"] = "\x1b[31m";
  const std::string text = describe_checkpoint(checkpoint);
  EXPECT_THAT(text,
              HasSubstr("format      legacy .pth\ntensors     522\nparameters  85,452,069\n"));
  EXPECT_THAT(text,
              HasSubstr("network     resnet101_3d\nclasses     101\npreset      kenshohara2018"));
  EXPECT_THAT(text, HasSubstr("config      network: {type: resnet101_3d, num_classes: 101, "
                              "checkpoint: r.pth}\n"));
  EXPECT_THAT(text, HasSubstr("metadata    epoch: \\x1b[31m\n"));
  EXPECT_THAT(text, HasSubstr("'module.' (DataParallel) is stripped"));
  EXPECT_THAT(text, HasSubstr("  float32   64x3x7x7x7           module.conv1.weight\n"));
}

}  // namespace
}  // namespace cfp::test
