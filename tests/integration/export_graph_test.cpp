// `cfp export-graph`, read back by programs that are not ours.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/integration/program.h"
#include "tests/support/run_command.h"
#include "tests/support/test_data.h"

namespace cfp::test {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

void run_one_clip(const fs::path& folder) {
  make_video(folder / "clips/waving/one.mkv");
  write_text(folder / "c.yaml", tiny_config("{type: folder, data_root: clips}"));
  const ProgramResult result = run_program({"run", "-q", "c.yaml"}, folder);
  ASSERT_EQ(result.exit_code, 0) << result.err;
}

CommandResult check_graph(const std::string& python, const TemporaryFolder& folder,
                          const std::string& file) {
  return run_command(fmt::format("{} {}/tests/integration/check_graph.py {} 0 0 {}", python,
                                 CFP_SOURCE_DIR, (folder / "out/part-00000.h5").string(),
                                 (folder / file).string()));
}

TEST(ExportGraph, HoldsTheNumbersOfThePart) {
  const std::string python = python_with("h5py", CFP_SOURCE_DIR);
  CFP_SKIP_WITHOUT_PYTHON(python, "h5py");
  const TemporaryFolder folder;
  run_one_clip(folder.path());
  const ProgramResult json = run_program({"export-graph", "out", "waving/one.mkv"}, folder.path());
  ASSERT_EQ(json.exit_code, 0) << json.err;
  EXPECT_THAT(json.out, HasSubstr("out/graphs/waving+one.mkv.json\n"));
  const CommandResult checked = check_graph(python, folder, "out/graphs/waving+one.mkv.json");
  // A stem, two blocks of three convolutions and one in the shortcut each, the classifier.
  EXPECT_THAT(
      checked.output,
      testing::MatchesRegex("10 layers, [1-9][0-9]* edges, 2 additions, [1-9][0-9]* routes\n"));

  const ProgramResult graphml = run_program({"export-graph", "out", "waving/one.mkv", "--format",
                                             "graphml", "--out", "deep/er/a.graphml"},
                                            folder.path());
  ASSERT_EQ(graphml.exit_code, 0) << graphml.err;
  const CommandResult compared = check_graph(python, folder, "deep/er/a.graphml");
  EXPECT_THAT(compared.output, testing::MatchesRegex("[1-9][0-9]* nodes, [1-9][0-9]* edges\n"));
  // And the general rules of the format.
  const CommandResult formal =
      run_command(fmt::format("{} {}/tests/unit/report/check_graphml.py {}", python, CFP_SOURCE_DIR,
                              (folder / "deep/er/a.graphml").string()));
  EXPECT_EQ(formal.exit_code, 0) << formal.output;
}

TEST(ExportGraph, FollowsChannelsToTheKernelsThatMakeThem) {
  const TemporaryFolder folder;
  run_one_clip(folder.path());
  ASSERT_EQ(run_program({"export-graph", "out", "waving/one.mkv"}, folder.path()).exit_code, 0);
  const nlohmann::json graph = read_json(folder / "out/graphs/waving+one.mkv.json");
  std::map<std::string, std::size_t> index;
  for (std::size_t l = 0; l < graph["layers"].size(); ++l) {
    index[graph["layers"][l]["name"]] = l;
  }
  // Who makes channel 3 of what enters a layer, by the architecture: through BatchNorm and ReLU a
  // convolution's own kernel 3; through an addition kernel 3 of both addends.
  const auto makers = [&](const std::string& layer, int channel) {
    std::vector<std::string> names;
    const nlohmann::json& routes = graph["routes"];
    for (std::size_t r = 0; r < routes["kernel"].size(); ++r) {
      if (routes["to_layer"][r] != index.at(layer) || routes["channel"][r] != channel) continue;
      EXPECT_EQ(routes["kernel"][r], channel);
      names.push_back(graph["layers"][routes["from_layer"][r].get<std::size_t>()]["name"]);
    }
    return names;
  };
  using testing::UnorderedElementsAre;
  EXPECT_THAT(makers("conv1", 2), testing::IsEmpty()) << "the clip itself";
  EXPECT_THAT(makers("layer1.0.conv1", 3), UnorderedElementsAre("conv1"));
  EXPECT_THAT(makers("layer1.0.conv3", 3), UnorderedElementsAre("layer1.0.conv2"));
  EXPECT_THAT(makers("layer2.0.conv1", 3),
              UnorderedElementsAre("layer1.0.conv3", "layer1.0.downsample.0"));
  EXPECT_THAT(makers("fc", 3), UnorderedElementsAre("layer2.0.conv3", "layer2.0.downsample.0"));
}

TEST(ExportGraph, SaysWhatIsWrong) {
  const TemporaryFolder folder;
  run_one_clip(folder.path());
  const auto refused = [&](std::vector<std::string> arguments, int code) {
    arguments.insert(arguments.begin(), "export-graph");
    const ProgramResult result = run_program(arguments, folder.path());
    EXPECT_EQ(result.exit_code, code) << result.out << result.err;
    return result.err;
  };
  EXPECT_THAT(refused({"nowhere", "x"}, 2), HasSubstr("no such folder"));
  EXPECT_THAT(refused({"out", "waving/onee.mkv"}, 2), HasSubstr("did you mean 'waving/one.mkv'?"));
  EXPECT_THAT(refused({"out"}, 2), HasSubstr("clip_id is required"));
  EXPECT_THAT(refused({"out", "waving/one.mkv", "--target", "3"}, 2), HasSubstr("target 3"));
  EXPECT_THAT(refused({"out", "waving/one.mkv", "--view", "1"}, 2),
              HasSubstr("view 1: clip 'waving/one.mkv' has 1 view"));
  EXPECT_THAT(refused({"out", "waving/one.mkv", "--format", "dot"}, 2), HasSubstr("--format"));
  EXPECT_THAT(refused({"out", "waving/one.mkv", "--out", "/proc/x.json"}, 4), HasSubstr("/proc/x"));
  EXPECT_FALSE(fs::exists(folder / "out/graphs"));
}

TEST(ExportGraph, WithoutTheCheckpointLeavesRoutesOutOnlyWhenAsked) {
  const TemporaryFolder folder;
  fs::create_directories(folder / "weights");
  const std::string demo = CFP_SOURCE_DIR "/configs/demo/resnet3d_moving_shapes.safetensors";
  fs::copy_file(demo, folder / "weights/a.safetensors");
  make_video(folder / "clips/one.mkv");
  write_text(folder / "c.yaml",
             "dataset: {type: folder, data_root: clips}\n"
             "network: {checkpoint: weights/a.safetensors}\n"
             "preprocess: {resize: 48, crop: 48}\n"
             "explain: {depth: 2}\n"
             "output: {work_dir: out}\n");
  const ProgramResult ran = run_program({"run", "-q", "c.yaml"}, folder.path());
  ASSERT_EQ(ran.exit_code, 0) << ran.err;
  fs::remove(folder / "weights/a.safetensors");
  const ProgramResult gone = run_program({"export-graph", "out", "one.mkv"}, folder.path());
  EXPECT_EQ(gone.exit_code, 4);
  EXPECT_THAT(gone.err, HasSubstr("--no-routes leaves it out"));
  const ProgramResult without =
      run_program({"export-graph", "out", "one.mkv", "--no-routes"}, folder.path());
  EXPECT_EQ(without.exit_code, 0) << without.err;
  EXPECT_TRUE(read_json(folder / "out/graphs/one.mkv.json")["routes"].is_null());
}

}  // namespace
}  // namespace cfp::test
