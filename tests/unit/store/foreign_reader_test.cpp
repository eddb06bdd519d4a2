// What we write, read by programs that are not ours: h5py and h5dump.
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "results/store/part_writer.h"
#include "tests/support/run_command.h"
#include "tests/support/test_data.h"
#include "tests/unit/store/example_clips.h"

namespace cfp {
namespace {

using Json = nlohmann::json;
using testing::HasSubstr;

Json to_json(const ChannelRelevance& r) {
  return {{"positive", r.positive},
          {"negative", r.negative},
          {"score", r.score},
          {"found", r.found},
          {"reached", r.reached}};
}

Json to_json(const PyramidLayer& layer) {
  Json edges = Json::array();
  for (const Edge& e : layer.edges) edges.push_back({e.kernel, e.channel, e.score});
  return {{"name", layer.name},
          {"depth", layer.depth},
          {"kernels", to_json(layer.kernels)},
          {"channels", to_json(layer.channels)},
          {"edges", edges},
          {"tube", layer.tube.values}};
}

Json to_json(const PyramidAddition& addition) {
  Json addends = Json::array();
  for (const ChannelRelevance& addend : addition.addends) addends.push_back(to_json(addend));
  return {{"name", addition.name},
          {"sum", to_json(addition.sum)},
          {"addends", addends},
          {"addend_names", addition.addend_names}};
}

Json to_json(const ClipResult& clip) {
  Json pyramids = Json::array();
  for (const Pyramid& pyramid : clip.pyramids) {
    Json layers = Json::array(), additions = Json::array();
    for (const PyramidLayer& layer : pyramid.layers) layers.push_back(to_json(layer));
    for (const PyramidAddition& addition : pyramid.additions)
      additions.push_back(to_json(addition));
    pyramids.push_back({{"class_index", pyramid.target.class_index},
                        {"kind", pyramid.target.kind},
                        {"value", pyramid.target.value},
                        {"layers", layers},
                        {"additions", additions}});
  }
  return {{"row", clip.row},
          {"clip_id", clip.clip_id},
          {"path", clip.path},
          {"view", clip.view},
          {"label", clip.label},
          {"prediction", clip.prediction},
          {"logits", clip.logits},
          {"frame_times_s", clip.frame_times_s},
          {"decode_s", clip.decode_s},
          {"network_s", clip.network_s},
          {"pyramid_s", clip.pyramid_s},
          {"pyramids", pyramids}};
}

/// A part and what must stand in it.
struct Written {
  std::string part, json;
};

Written write_example(const test::TemporaryFolder& folder, int clips,
                      const test::ExampleShape& shape, const StoreOptions& options = {}) {
  const PartHeader header{.name = "demo ü",
                          .config = "a: 1\nb: 'two'\n",
                          .config_hash = "01ab",
                          .manifest_hash = "23cd",
                          .weights_hash = "45ef",
                          .network = "i3d",
                          .preset = "kinetics",
                          .method = "gradient",
                          .command = "cfp run x.yaml",
                          .random_weights = true,
                          .class_names = {"a", "ü, \"b\""},
                          .versions = {{"cfp", "0.1.0"}}};
  PartWriter part(folder / "part.h5", header, options);
  Json json;
  json["header"] = {{"format", "cfp part"},        {"schema_version", 2},
                    {"name", header.name},         {"config", header.config},
                    {"config_hash", "01ab"},       {"manifest_hash", "23cd"},
                    {"weights_hash", "45ef"},      {"network", "i3d"},
                    {"preset", "kinetics"},        {"method", "gradient"},
                    {"command", "cfp run x.yaml"}, {"random_weights", 1}};
  json["versions"] = header.versions;
  json["class_names"] = header.class_names;
  json["clips"] = json["failures"] = Json::array();
  for (int i = 0; i < clips; ++i) {
    const ClipResult clip = test::example_clip(i, shape);
    const Failure failure = test::example_failure(i);
    part.append(clip);
    part.append_failure(failure);
    json["clips"].push_back(to_json(clip));
    json["failures"].push_back({{"row", failure.row},
                                {"clip_id", failure.clip_id},
                                {"path", failure.path},
                                {"stage", failure.stage},
                                {"reason", to_string(failure.reason)},
                                {"message", failure.message}});
  }
  part.finish();
  std::ofstream(folder / "expected.json") << json.dump();
  return {(folder / "part.h5").string(), (folder / "expected.json").string()};
}

class ForeignReader : public testing::TestWithParam<std::pair<int, test::ExampleShape>> {};

TEST_P(ForeignReader, H5pyFindsEveryNumber) {
  const std::string python = test::python_with("h5py", CFP_SOURCE_DIR);
  CFP_SKIP_WITHOUT_PYTHON(python, "h5py");
  const test::TemporaryFolder folder;
  const Written written = write_example(folder, GetParam().first, GetParam().second);
  const test::CommandResult result =
      test::run_command(python + " " CFP_SOURCE_DIR "/tests/unit/store/check_part.py " +
                        written.part + " " + written.json);
  EXPECT_EQ(result.exit_code, 0) << result.output;
  EXPECT_EQ(result.output, "equal\n");
}

INSTANTIATE_TEST_SUITE_P(Shapes, ForeignReader,
                         testing::Values(std::pair{3, test::ExampleShape{}},
                                         std::pair{2, test::ExampleShape{.targets = 3}},
                                         // Past one chunk of rows (64).
                                         std::pair{70, test::ExampleShape{.kernels = 6}}));

TEST(ForeignReader, H5pyFindsNumbersThatAreStoredAsSteps) {
  const std::string python = test::python_with("h5py", CFP_SOURCE_DIR);
  CFP_SKIP_WITHOUT_PYTHON(python, "h5py");
  for (const StoredAs stored : {StoredAs::kUInt16, StoredAs::kUInt8}) {
    const test::TemporaryFolder folder;
    const Written written = write_example(
        folder, 3, {.targets = 2}, {.tube_values = stored, .edge_scores = StoredAs::kUInt16});
    const test::CommandResult result =
        test::run_command(python + " " CFP_SOURCE_DIR "/tests/unit/store/check_part.py " +
                          written.part + " " + written.json);
    EXPECT_EQ(result.output, "equal\n");
  }
}

TEST(ForeignReader, H5dumpReadsTheWholeFile) {
  if (test::run_command("h5dump --version").exit_code != 0) {
    GTEST_SKIP() << "needs h5dump (Debian: hdf5-tools)";
  }
  const test::TemporaryFolder folder;
  const Written written = write_example(folder, 3, {});
  const test::CommandResult result = test::run_command("h5dump " + written.part);
  EXPECT_EQ(result.exit_code, 0) << result.output.substr(0, 2000);
  EXPECT_THAT(result.output, HasSubstr("ATTRIBUTE \"schema_version\""));
  EXPECT_THAT(result.output, HasSubstr("GROUP \"layer4_conv_2\""));
  EXPECT_THAT(result.output, HasSubstr("line two, of row 2"));
}

TEST(ForeignReader, TheExampleScriptRuns) {
  const std::string python = test::python_with("h5py", CFP_SOURCE_DIR);
  CFP_SKIP_WITHOUT_PYTHON(python, "h5py");
  const test::TemporaryFolder folder;
  const Written written = write_example(folder, 3, {});
  const test::CommandResult result =
      test::run_command(python + " " CFP_SOURCE_DIR "/scripts/read_results.py " + written.part);
  EXPECT_EQ(result.exit_code, 0) << result.output;
  EXPECT_THAT(result.output, HasSubstr("layer4/conv"));
}

}  // namespace
}  // namespace cfp
