#include "stages/network/checkpoint/match_weights.h"

#include <cstring>
#include <fstream>
#include <sstream>

#include <gtest/gtest.h>

#include "stages/network/builders.h"
#include "stages/network/checkpoint/normalise.h"
#include "stages/network/random_weights.h"
#include "tests/support/test_data.h"
#include "tests/unit/checkpoint/support.h"

namespace cfp::test {
namespace {

using testing::HasSubstr;

/// Names and shapes of a public checkpoint, without data.
Checkpoint layout(const std::string& name) {
  Checkpoint checkpoint{.path = name + ".pth", .format = "layout", .tensors = {}, .metadata = {}};
  std::ifstream file(checkpoint_facts() / "checkpoint_layouts" / (name + ".tsv"));
  for (std::string line; std::getline(file, line);) {
    StoredTensor tensor;
    std::istringstream fields(line);
    std::string shape;
    std::getline(fields, tensor.name, '\t');
    std::getline(fields, shape, '\t');
    std::istringstream extents(shape);
    for (std::string extent; std::getline(extents, extent, 'x');) {
      if (!extent.empty()) tensor.shape.push_back(std::stoll(extent));
    }
    tensor.stride = contiguous_stride(tensor.shape);
    checkpoint.tensors.push_back(std::move(tensor));
  }
  return checkpoint;
}

NetworkGraph graph_of(const std::string& architecture, int classes) {
  return build_architecture(architecture, {.num_classes = classes},
                            architecture_defaults(architecture).input_size);
}

Checkpoint with_prefix(Checkpoint checkpoint, const std::string& prefix) {
  for (StoredTensor& tensor : checkpoint.tensors) tensor.name = prefix + tensor.name;
  return checkpoint;
}

/// Weights of a small network as a checkpoint in memory.
struct SmallNetwork {
  NetworkGraph graph =
      build_resnet3d({.blocks = {1, 1}, .base_width = 4, .stem_channels = 8, .num_classes = 5});
  Weights weights = formula_weights(graph, 3);

  Checkpoint checkpoint() const {
    Checkpoint result{.path = "small.pth", .format = "memory", .tensors = {}, .metadata = {}};
    for (const auto& [name, weight] : weights) {
      StoredTensor tensor{.name = name, .shape = weight.shape};
      tensor.stride = contiguous_stride(weight.shape);
      tensor.data = {reinterpret_cast<const std::uint8_t*>(weight.data.get()),
                     static_cast<std::size_t>(weight.elements()) * 4};
      tensor.owner = weight.data;
      result.tensors.push_back(std::move(tensor));
    }
    return result;
  }
};

std::string refusal(const Checkpoint& checkpoint, const NetworkGraph& graph) {
  try {
    match_weights(checkpoint, graph);
  } catch (const SystemError& error) {
    return error.what();
  }
  return "";
}

struct LayoutCase {
  std::string layout, architecture;
  int classes = 400;
};

void PrintTo(const LayoutCase& layout_case, std::ostream* out) { *out << layout_case.layout; }

class PublicLayouts : public testing::TestWithParam<LayoutCase> {};

TEST_P(PublicLayouts, FitTheirGraphs) {
  CFP_SKIP_WITHOUT(checkpoint_facts() / "checkpoint_layouts");
  const Checkpoint checkpoint = layout(GetParam().layout);
  ASSERT_GT(checkpoint.tensors.size(), 200U);
  const NetworkGraph graph = graph_of(GetParam().architecture, GetParam().classes);
  for (const char* prefix : {"", "module.", "module.module."}) {
    const Checkpoint prefixed = with_prefix(checkpoint, prefix);
    const Checkpoint renamed = normalised(prefixed);
    const WeightMismatch mismatch = compare_weights(renamed, graph);
    EXPECT_THAT(mismatch.missing, testing::IsEmpty());
    EXPECT_THAT(mismatch.unexpected, testing::IsEmpty());
    EXPECT_THAT(mismatch.other_shape, testing::IsEmpty());
    const auto recognised = recognise_architecture(prefixed);
    ASSERT_TRUE(recognised.has_value());
    EXPECT_EQ(recognised->name, GetParam().architecture);
    EXPECT_EQ(recognised->num_classes, GetParam().classes);
  }
}

INSTANTIATE_TEST_SUITE_P(MatchWeights, PublicLayouts,
                         testing::Values(LayoutCase{"resnet50_old", "resnet50_3d"},
                                         LayoutCase{"resnet101_old", "resnet101_3d"},
                                         LayoutCase{"resnet152_old", "resnet152_3d"},
                                         LayoutCase{"resnext101_old", "resnext101_3d"},
                                         LayoutCase{"r3d50_new", "resnet50_3d", 700},
                                         LayoutCase{"r3d101_new", "resnet101_3d", 700},
                                         LayoutCase{"r3d152_new", "resnet152_3d", 700},
                                         LayoutCase{"mfnet3d", "mfnet3d"},
                                         LayoutCase{"i3d_hassony2", "i3d"},
                                         LayoutCase{"i3d_piergiaj", "i3d"}),
                         [](const auto& info) { return info.param.layout; });

TEST(Normalised, RenamesThePiergiajI3dByItsTable) {
  EXPECT_EQ(i3d_name("Mixed_3b.b1b.bn.running_var"), "mixed_3b.branch_1.1.batch3d.running_var");
  EXPECT_EQ(i3d_name("Mixed_5c.b3b.conv3d.weight"), "mixed_5c.branch_3.1.conv3d.weight");
  EXPECT_EQ(i3d_name("logits.conv3d.bias"), "conv3d_0c_1x1.conv3d.bias");
  EXPECT_EQ(i3d_name("mixed_3b.branch_1.1.batch3d.bias"), "mixed_3b.branch_1.1.batch3d.bias");
}

TEST(Normalised, RefusesTwoTensorsOfOneName) {
  Checkpoint checkpoint;
  checkpoint.path = "twice.pth";
  checkpoint.tensors.push_back({.name = "module.fc.weight"});
  checkpoint.tensors.push_back({.name = "fc.weight"});
  CFP_EXPECT_REFUSED(normalised(checkpoint), "'module.fc.weight' and 'fc.weight'");
}

TEST(MatchWeights, TakesTheValuesAsTheyAre) {
  const SmallNetwork small;
  const Checkpoint checkpoint = with_prefix(small.checkpoint(), "module.");
  const Weights weights = match_weights(checkpoint, small.graph);
  ASSERT_EQ(weights.size(), small.weights.size());
  for (const auto& [name, weight] : weights) {
    EXPECT_EQ(weight.shape, small.weights.at(name).shape);
    EXPECT_EQ(weight.data.get(), small.weights.at(name).data.get()) << "copied without need";
  }
  EXPECT_EQ(hash_weights(weights), hash_weights(small.weights));
  EXPECT_NE(hash_weights(weights), hash_weights(formula_weights(small.graph, 4)));
}

TEST(MatchWeights, CopiesWhatIsNotAligned) {
  const SmallNetwork small;
  Checkpoint checkpoint = small.checkpoint();
  StoredTensor& tensor = checkpoint.tensors.front();
  Bytes shifted =
      "x" + Bytes(reinterpret_cast<const char*>(tensor.data.data()), tensor.data.size());
  tensor.data = view_of(shifted).subspan(1);
  const Weights weights = match_weights(checkpoint, small.graph);
  const WeightTensor& weight = weights.begin()->second;
  EXPECT_EQ(std::memcmp(weight.data.get(), shifted.data() + 1, shifted.size() - 1), 0);
}

TEST(MatchWeights, ListsWhatDiffersWithTheNumberOfEach) {
  const SmallNetwork small;
  Checkpoint checkpoint = small.checkpoint();
  std::erase_if(checkpoint.tensors,
                [](const StoredTensor& tensor) { return tensor.name.starts_with("layer2."); });
  checkpoint.tensors.push_back({.name = "extra\x1b"});
  const std::string text = refusal(checkpoint, small.graph);
  EXPECT_THAT(text, HasSubstr("'small.pth'"));
  EXPECT_THAT(text, HasSubstr("missing (20): layer2.0.conv1.weight, "));
  EXPECT_THAT(text, HasSubstr(", ...\n"));
  EXPECT_THAT(text, HasSubstr("unexpected (1): extra\\x1b\n"));
}

TEST(MatchWeights, NamesTheClassCount) {
  CFP_SKIP_WITHOUT(checkpoint_facts() / "checkpoint_layouts");
  const std::string text = refusal(layout("resnet50_old"), graph_of("resnet50_3d", 101));
  EXPECT_THAT(text,
              HasSubstr("of another shape (2): fc.weight is 400x2048, the network has 101x2048,"
                        " fc.bias is 400, the network has 101\n"));
  EXPECT_THAT(text, HasSubstr("likely cause: the checkpoint has 400 classes, the config says 101"));
}

TEST(MatchWeights, NamesTheArchitectureItLooksLike) {
  CFP_SKIP_WITHOUT(checkpoint_facts() / "checkpoint_layouts");
  const auto cause = [](const char* name, const char* asked) {
    return refusal(layout(name), graph_of(asked, 400));
  };
  EXPECT_THAT(cause("resnet101_old", "resnet50_3d"),
              HasSubstr("the checkpoint looks like resnet101_3d, the config asks for resnet50_3d"));
  EXPECT_THAT(cause("resnext101_old", "resnet101_3d"),
              HasSubstr("looks like resnext101_3d, the config asks for resnet101_3d"));
  EXPECT_THAT(cause("mfnet3d", "i3d"), HasSubstr("looks like mfnet3d, the config asks for i3d"));
  EXPECT_THAT(cause("i3d_piergiaj", "mfnet3d"), HasSubstr("looks like i3d"));
}

TEST(MatchWeights, NamesShortcutsWithoutWeights) {
  CFP_SKIP_WITHOUT(checkpoint_facts() / "checkpoint_layouts");
  Checkpoint checkpoint = layout("resnet50_old");
  std::erase_if(checkpoint.tensors, [](const StoredTensor& tensor) {
    return tensor.name.find("downsample") != std::string::npos;
  });
  EXPECT_THAT(refusal(checkpoint, graph_of("resnet50_3d", 400)),
              HasSubstr("shortcuts are of type A"));
}

TEST(MatchWeights, NamesRelativesOfTheKnownNetworks) {
  Checkpoint checkpoint;
  for (const char* name : {"layer1.0.conv1.weight", "layer1.0.conv2.weight",
                           "layer1.1.conv1.weight", "layer2.0.conv1.weight"}) {
    checkpoint.tensors.push_back({.name = name, .shape = {64, 64, 3, 3}});
  }
  EXPECT_THAT(refusal(checkpoint, graph_of("resnet50_3d", 400)),
              HasSubstr("looks like a ResNet for images (its kernels have no time axis) of basic "
                        "blocks 2,1"));
  for (StoredTensor& tensor : checkpoint.tensors) tensor.shape = {64, 64, 3, 3, 3};
  EXPECT_THAT(refusal(checkpoint, graph_of("resnet50_3d", 400)),
              HasSubstr("looks like a 3D ResNet of basic blocks 2,1, 64 wide"));
  checkpoint.tensors = {{.name = "blocks.0.weight"}};
  EXPECT_THAT(refusal(checkpoint, graph_of("resnet50_3d", 400)), HasSubstr("none of the networks"));
}

TEST(MatchWeights, RefusesNumbersThatAreNone) {
  SmallNetwork small;
  Checkpoint checkpoint = small.checkpoint();
  for (StoredTensor& tensor : checkpoint.tensors) {
    if (tensor.name != "layer2.0.bn2.running_var") continue;
    const auto values = std::make_shared<std::vector<float>>(tensor.elements(), 1.0F);
    (*values)[3] = std::numeric_limits<float>::quiet_NaN();
    tensor.data = {reinterpret_cast<const std::uint8_t*>(values->data()), values->size() * 4};
    tensor.owner = values;
  }
  EXPECT_THAT(refusal(checkpoint, small.graph),
              HasSubstr("tensor 'layer2.0.bn2.running_var' of float32 holds nan at element 3"));
}

}  // namespace
}  // namespace cfp::test
