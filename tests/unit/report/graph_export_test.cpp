#include "results/report/graph_export.h"

#include <fstream>
#include <limits>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/support/run_command.h"
#include "tests/support/test_data.h"
#include "tests/unit/store/example_clips.h"

namespace cfp {
namespace {

using testing::HasSubstr;

constexpr const char* kHostile = "a<b>&\"'\x01\n\t\xFF\xEF\xBF\xBF 日本 ]]> \\ \x7F";

std::string json_of(const PyramidGraph& graph) {
  std::string text;
  write_graph_json(graph, [&](std::string_view piece) { text += piece; });
  return text;
}

std::string graphml_of(const PyramidGraph& graph, GraphNodes nodes) {
  std::string text;
  write_graphml(graph, nodes, [&](std::string_view piece) { text += piece; });
  return text;
}

/// What was written, as the JSON that a foreign reader has to find in it.
nlohmann::json expected_relevance(const ChannelRelevance& relevance) {
  return {{"count", relevance.channels()},  {"positive", relevance.positive},
          {"negative", relevance.negative}, {"score", relevance.score},
          {"found", relevance.found},       {"reached", relevance.reached}};
}

/// Equal as float32, which is what the numbers are.
void expect_equal_floats(const nlohmann::json& have, const std::vector<float>& want) {
  EXPECT_EQ(have.get<std::vector<float>>(), want);
}

TEST(GraphJson, HoldsEveryNumber) {
  const ClipResult clip = test::example_clip(3, {.targets = 2});
  const PyramidGraph graph{.clip = &clip,
                           .target = 1,
                           .network = "resnet50_3d",
                           .class_names = {"a", "b", "c", "d", "e", "f", "g"},
                           .parameters = {{"explain.threshold", "0.3"}}};
  const auto json = nlohmann::json::parse(json_of(graph));
  EXPECT_EQ(json["schema_version"], kGraphSchemaVersion);
  EXPECT_EQ(json["parameters"]["explain.threshold"], 0.3);
  EXPECT_EQ(json["clip"]["clip_id"], clip.clip_id);
  EXPECT_EQ(json["target"]["position"], 1);
  EXPECT_EQ(json["target"]["value"], clip.pyramids[1].target.value);
  EXPECT_TRUE(json["routes"].is_null());
  const Pyramid& pyramid = clip.pyramids[1];
  ASSERT_EQ(json["layers"].size(), pyramid.layers.size());
  for (std::size_t l = 0; l < pyramid.layers.size(); ++l) {
    const PyramidLayer& layer = pyramid.layers[l];
    const nlohmann::json& have = json["layers"][l];
    EXPECT_EQ(have["name"], layer.name);
    EXPECT_EQ(have["kernels"]["count"], layer.kernels.channels());
    expect_equal_floats(have["kernels"]["positive"], layer.kernels.positive);
    expect_equal_floats(have["channels"]["score"], layer.channels.score);
    EXPECT_EQ(have["channels"]["found"], expected_relevance(layer.channels)["found"]);
    ASSERT_EQ(have["edges"]["score"].size(), layer.edges.size());
    for (std::size_t e = 0; e < layer.edges.size(); ++e) {
      EXPECT_EQ(have["edges"]["kernel"][e], layer.edges[e].kernel);
      EXPECT_EQ(have["edges"]["channel"][e], layer.edges[e].channel);
      EXPECT_EQ(have["edges"]["score"][e].get<float>(), layer.edges[e].score);
    }
  }
  EXPECT_EQ(json["additions"][1]["addends"][0]["node"], "layer4.2.bn3");
  EXPECT_EQ(json["additions"][1]["addends"][0]["relevance"]["found"].size(), 0U);
}

TEST(GraphJson, TakesHostileNamesAndNumbersThatAreNone) {
  ClipResult clip = test::example_clip(0);
  clip.clip_id = kHostile;
  PyramidLayer& layer = clip.pyramids[0].layers[1];
  layer.name = kHostile;
  layer.kernels.score[2] = std::numeric_limits<float>::quiet_NaN();
  layer.tube.maximum = std::numeric_limits<float>::infinity();
  const PyramidGraph graph{.clip = &clip, .has_edges = false, .run = kHostile};
  const std::string text = json_of(graph);
  const auto json = nlohmann::json::parse(text);
  EXPECT_THAT(json["clip"]["clip_id"].get<std::string>(), HasSubstr("a<b>&\"'\x01\n\t"));
  EXPECT_TRUE(json["layers"][1]["kernels"]["score"][2].is_null());
  EXPECT_TRUE(json["layers"][1]["tube"]["maximum"].is_null());
  EXPECT_TRUE(json["layers"][1]["edges"].is_null()) << "no edges were kept: not the same as none";
  EXPECT_EQ(text, json_of(graph)) << "the same input gives the same bytes";
}

TEST(Graph, RefusesATargetThatIsNotThere) {
  const ClipResult clip = test::example_clip(0);
  const PyramidGraph graph{.clip = &clip, .target = 1};
  EXPECT_THROW(json_of(graph), std::out_of_range);
  EXPECT_THROW(graphml_of(graph, GraphNodes::kAll), std::out_of_range);
}

/// Has Python look at a file: is it GraphML, and what is in it?
nlohmann::json looked_at(const std::string& python, const std::string& xml) {
  const test::TemporaryFolder folder;
  std::ofstream(folder / "a.graphml", std::ios::binary) << xml;
  const test::CommandResult result =
      test::run_command(python + " " CFP_SOURCE_DIR "/tests/unit/report/check_graphml.py " +
                        (folder / "a.graphml").string());
  EXPECT_EQ(result.exit_code, 0) << result.output;
  return result.exit_code == 0 ? nlohmann::json::parse(result.output) : nlohmann::json();
}

struct Counts {
  std::size_t nodes = 0, edges = 0;
};

template <class Keep>
Counts counts(const Pyramid& pyramid, Keep&& keep) {
  Counts all;
  for (const PyramidLayer& layer : pyramid.layers) {
    for (std::size_t i = 0; i < layer.kernels.channels(); ++i) all.nodes += keep(layer.kernels, i);
    for (std::size_t i = 0; i < layer.channels.channels(); ++i)
      all.nodes += keep(layer.channels, i);
    for (const Edge& edge : layer.edges) {
      all.edges += keep(layer.kernels, edge.kernel) && keep(layer.channels, edge.channel);
    }
  }
  return all;
}

TEST(Graphml, OpensInPythonWithEveryNodeAndEdge) {
  const std::string python = test::python_with("xml.etree.ElementTree", CFP_SOURCE_DIR);
  CFP_SKIP_WITHOUT_PYTHON(python, "xml.etree.ElementTree");
  ClipResult clip = test::example_clip(2);
  clip.clip_id = kHostile;
  clip.pyramids[0].layers[1].name = kHostile;
  clip.pyramids[0].layers[2].kernels.score[0] = std::numeric_limits<float>::quiet_NaN();
  const Pyramid& pyramid = clip.pyramids[0];
  const PyramidGraph graph{.clip = &clip,
                           .class_names = {kHostile},
                           .routes = std::vector<ChannelRoute>{{1, 0, 0, 0}, {2, 1, 1, 1}}};

  const auto all = looked_at(python, graphml_of(graph, GraphNodes::kAll));
  const Counts want_all =
      counts(pyramid, [](const ChannelRelevance&, std::size_t) { return true; });
  EXPECT_EQ(all["nodes"], want_all.nodes);
  EXPECT_EQ(all["evidence"], want_all.edges);
  EXPECT_EQ(all["routes"], 2);
  EXPECT_EQ(all["clip_id"],
            "a<b>&\"'\xEF\xBF\xBD\n\t\xEF\xBF\xBD\xEF\xBF\xBD 日本 ]]> \\ \xEF\xBF\xBD");

  const auto found = looked_at(python, graphml_of(graph, GraphNodes::kFound));
  const Counts want_found =
      counts(pyramid, [](const ChannelRelevance& r, std::size_t i) { return r.found[i] != 0; });
  EXPECT_EQ(found["nodes"], want_found.nodes);
  EXPECT_EQ(found["evidence"], want_found.edges);
  const auto reached = looked_at(python, graphml_of(graph, GraphNodes::kReached));
  const Counts want_reached =
      counts(pyramid, [](const ChannelRelevance& r, std::size_t i) { return r.reached[i] != 0; });
  EXPECT_EQ(reached["nodes"], want_reached.nodes);
  EXPECT_EQ(reached["evidence"], want_reached.edges);
  EXPECT_LT(want_reached.nodes, want_found.nodes) << "the test tells nothing";
}

}  // namespace
}  // namespace cfp
