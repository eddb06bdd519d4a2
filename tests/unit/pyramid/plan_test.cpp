#include "stages/pyramid/plan.h"

#include <algorithm>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "stages/core/errors.h"
#include "stages/network/builders.h"
#include "stages/network/passes.h"
#include "stages/network/random_weights.h"
#include "tests/support/random_graphs.h"
#include "tests/unit/pyramid/test_networks.h"

namespace cfp {
namespace {

using ::testing::AllOf;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::ThrowsMessage;
using ::testing::UnorderedElementsAre;

NetworkGraph published(const std::string& name) {
  return build_architecture(name, {}, architecture_defaults(name).input_size);
}

std::vector<std::string> names_of(const NetworkGraph& graph, const PyramidPlan& plan) {
  std::vector<std::string> names;
  for (const auto& layer : plan.layers) names.push_back(graph.node(layer.node).name);
  return names;
}

std::vector<std::string> names_at(const NetworkGraph& graph, const PyramidPlan& plan, int depth) {
  std::vector<std::string> names;
  for (const auto& layer : plan.layers) {
    if (layer.depth == depth) names.push_back(graph.node(layer.node).name);
  }
  return names;
}

TEST(Plan, CountsDepthThroughTheLongestPathOfAResNet) {
  const NetworkGraph graph = published("resnet50_3d");
  const PyramidPlan plan = plan_pyramid(graph, {.depth = 5});
  EXPECT_THAT(names_of(graph, plan), ElementsAre("fc", "layer4.2.conv3", "layer4.2.conv2",
                                                 "layer4.2.conv1", "layer4.1.conv3"));
  for (int depth = 1; depth <= 5; ++depth) {
    EXPECT_EQ(plan.layers[static_cast<std::size_t>(depth - 1)].depth, depth);
  }
  EXPECT_EQ(graph.node(plan.classifier).name, "fc");
}

TEST(Plan, GivesEveryBranchOfI3dItsOwnDepth) {
  const NetworkGraph graph = published("i3d");
  const PyramidPlan plan = plan_pyramid(graph, {.depth = 3});
  EXPECT_THAT(names_at(graph, plan, 1), ElementsAre("conv3d_0c_1x1.conv3d"));
  EXPECT_THAT(names_at(graph, plan, 2),
              UnorderedElementsAre("mixed_5c.branch_0.conv3d", "mixed_5c.branch_1.1.conv3d",
                                   "mixed_5c.branch_2.1.conv3d", "mixed_5c.branch_3.1.conv3d"));
  EXPECT_THAT(names_at(graph, plan, 3),
              UnorderedElementsAre("mixed_5c.branch_1.0.conv3d", "mixed_5c.branch_2.0.conv3d"));
  EXPECT_EQ(plan.layers.size(), 7U);
  EXPECT_EQ(graph.node(plan.classifier).name, "conv3d_0c_1x1.conv3d");
}

TEST(Plan, KeepsDepthsThroughThePasses) {
  for (const std::string& name : architecture_names()) {
    SCOPED_TRACE(name);
    Network network = test::reduced_architecture(name).network;
    const Network fast = optimise(network);
    const PyramidPlan before = plan_pyramid(network.graph, {.depth = 0});
    const PyramidPlan after = plan_pyramid(fast.graph, {.depth = 0});
    const auto depths = [](const NetworkGraph& graph, const PyramidPlan& plan) {
      std::set<std::pair<std::string, int>> all;
      for (const auto& layer : plan.layers) all.emplace(graph.node(layer.node).name, layer.depth);
      return all;
    };
    EXPECT_EQ(depths(network.graph, before), depths(fast.graph, after));
  }
}

TEST(Plan, TakesAllLayersOrThoseOfADepthFromTheClassDownwards) {
  for (std::uint64_t seed = 0; seed < 30; ++seed) {
    const NetworkGraph graph = test::random_graph(seed);
    SCOPED_TRACE(testing::Message() << "seed " << seed << '\n' << test::describe(graph));
    // Layers that only feed gates have no depth.
    const auto layers = static_cast<std::size_t>(
        std::ranges::count_if(layer_depths(graph), [](int depth) { return depth > 0; }));
    const PyramidPlan all = plan_pyramid(graph, {.depth = 0});
    EXPECT_EQ(all.layers.size(), layers);
    EXPECT_TRUE(std::ranges::is_sorted(all.layers, {}, &PyramidPlan::Layer::depth));
    const std::vector<int> depths = layer_depths(graph);
    for (int depth = 1; depth <= all.layers.back().depth; ++depth) {
      const PyramidPlan plan = plan_pyramid(graph, {.depth = depth});
      std::vector<std::string> expected;
      for (const auto& layer : all.layers) {
        if (layer.depth <= depth) expected.push_back(graph.node(layer.node).name);
      }
      EXPECT_EQ(names_of(graph, plan), expected);
      EXPECT_EQ(plan.classifier, all.classifier);
      for (std::size_t i = 0; i < plan.layers.size(); ++i) {
        const auto& layer = plan.layers[i];
        EXPECT_EQ(layer.depth, depths[test::at_node(layer.node)]);
        EXPECT_EQ(plan.layer_of_node[test::at_node(layer.node)], static_cast<int>(i));
        EXPECT_EQ(layer.entering, graph.node(layer.node).inputs[0]);
        EXPECT_TRUE(plan.wanted[test::at_node(layer.node)]);
        EXPECT_TRUE(plan.wanted[test::at_node(layer.entering)]);
        EXPECT_TRUE(plan.wanted_tube[test::at_node(layer.tube)]);
      }
    }
  }
}

TEST(Plan, WantsNothingBelowWhatIsAskedFor) {
  const NetworkGraph graph = published("resnet50_3d");
  const PyramidPlan plan = plan_pyramid(graph, {.depth = 3, .tubes = TubeKind::kNone});
  std::vector<std::string> wanted;
  for (NodeId id = 0; id < graph.size(); ++id) {
    if (plan.wanted[test::at_node(id)]) wanted.push_back(graph.node(id).name);
  }
  EXPECT_EQ(wanted.size(), 6U) << "three layers and what enters them";
  EXPECT_EQ(graph.node(graph.node(graph.find("layer4.2.conv2")).inputs[0]).name, wanted[0]);
  EXPECT_THAT(plan.wanted_tube, Each(false));
}

TEST(Plan, TakesTheTubeOfAClassifierBeforeTheAverage) {
  for (const std::string& name : architecture_names()) {
    SCOPED_TRACE(name);
    const NetworkGraph graph = published(name);
    const auto shapes = infer_shapes(graph, architecture_defaults(name).input_size);
    const PyramidPlan plan = plan_pyramid(graph, {.depth = 2});
    const auto& classifier = plan.layers[0];
    const bool averaged = std::holds_alternative<GlobalAverage>(graph.node(classifier.entering).op);
    EXPECT_EQ(averaged, name != "i3d");
    EXPECT_EQ(classifier.tube,
              averaged ? graph.node(classifier.entering).inputs[0] : classifier.entering);
    EXPECT_EQ(shapes[test::at_node(classifier.tube)].positions() > 1, averaged);
    EXPECT_EQ(plan.layers[1].tube, plan.layers[1].entering);
  }
}

TEST(Plan, TakesLayersByName) {
  const NetworkGraph graph = published("resnet50_3d");
  const PyramidPlan plan =
      plan_pyramid(graph, {.depth = 1, .layers = {"layer2.0.conv1", "fc", "layer4.1.conv3"}});
  EXPECT_THAT(names_of(graph, plan), ElementsAre("fc", "layer4.1.conv3", "layer2.0.conv1"))
      << "the names alone count, not the depth, and the order is the network's";
}

TEST(Plan, NamesTheLayerThatIsNotThereAndThoseAlike) {
  const NetworkGraph graph = published("resnet50_3d");
  EXPECT_THAT([&] { plan_pyramid(graph, {.layers = {"layer4.2"}}); },
              ThrowsMessage<ConfigError>(
                  AllOf(HasSubstr("no layer 'layer4.2'"), HasSubstr("layer4.2.conv1"))));
  EXPECT_THAT(
      [&] {
        plan_pyramid(graph, {.layers = {"fc", "quux"}});
      },
      ThrowsMessage<ConfigError>(
          AllOf(HasSubstr("'quux'"), HasSubstr("'conv1'"), HasSubstr("'fc'"))));
  EXPECT_THAT([&] { plan_pyramid(graph, {.layers = {"layer4.2.bn3"}}); },
              ThrowsMessage<ConfigError>(HasSubstr("no layer 'layer4.2.bn3'")))
      << "a node without kernels is no layer";
}

TEST(Plan, RefusesADepthWithoutLayers) {
  const NetworkGraph graph = published("resnet50_3d");
  EXPECT_THAT([&] { plan_pyramid(graph, {.depth = -1}); },
              ThrowsMessage<ConfigError>(AllOf(HasSubstr("explain.depth"), HasSubstr("-1"))));
}

}  // namespace
}  // namespace cfp
