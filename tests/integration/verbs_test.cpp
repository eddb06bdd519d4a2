// The verbs beside `run`.
#include <functional>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "datasets/csv.h"
#include "datasets/moving_shapes_files.h"
#include "tests/integration/program.h"
#include "tests/support/test_data.h"

namespace cfp::test {
namespace {

using testing::HasSubstr;

constexpr const char* kDemo = CFP_SOURCE_DIR "/configs/demo/resnet3d_moving_shapes.safetensors";

TEST(Verbs, ConfigWritesThePageOfAllKeys) {
  const TemporaryFolder folder;
  EXPECT_EQ(run_program({"config", "--docs"}, folder.path()).out,
            read_text(CFP_SOURCE_DIR "/docs/configuration.md"));
  const ProgramResult schema = run_program({"config", "--json-schema"}, folder.path());
  EXPECT_TRUE(nlohmann::json::parse(schema.out)["properties"].contains("sampling"));
  EXPECT_EQ(run_program({"config"}, folder.path()).exit_code, 2);
}

TEST(Verbs, ConfigShowsWhereEachValueCameFrom) {
  const TemporaryFolder folder;
  const ProgramResult result = run_program(
      {"config", CFP_SOURCE_DIR "/configs/demo.yaml", "explain.depth=2"}, folder.path());
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("  depth: 2  # command line\n"));
  EXPECT_THAT(result.out, HasSubstr("  clip_len: 16  # default\n"));
  EXPECT_THAT(result.out,
              testing::ContainsRegex("type: moving_shapes  # .*demo.yaml:[0-9]+:[0-9]+"));
}

TEST(Verbs, EveryShippedConfigIsValid) {
  const TemporaryFolder folder;
  for (const char* place : {"/configs", "/configs/published"}) {
    for (const auto& entry :
         std::filesystem::directory_iterator(CFP_SOURCE_DIR + std::string(place))) {
      if (entry.path().extension() != ".yaml") continue;
      const ProgramResult result = run_program({"config", entry.path().string()}, folder.path());
      EXPECT_EQ(result.exit_code, 0) << entry.path() << ": " << result.err;
    }
  }
  for (const auto& entry : std::filesystem::directory_iterator(CFP_SOURCE_DIR "/configs/_base_")) {
    const ProgramResult result =
        run_program({"config", entry.path().string(), "dataset={type: folder, data_root: x}",
                     "network.checkpoint=random"},
                    folder.path());
    EXPECT_EQ(result.exit_code, 0) << entry.path() << ": " << result.err;
  }
}

TEST(Verbs, CheckSaysWhatARunWouldMeet) {
  const TemporaryFolder folder;
  make_video(folder / "clips/a/one.mkv");
  write_text(folder / "clips/a/bad.mp4", "no video");
  write_text(folder / "c.yaml", tiny_config("{type: folder, data_root: clips, max_failures: 1}"));
  const ProgramResult good = run_program({"check", "c.yaml"}, folder.path());
  EXPECT_EQ(good.exit_code, 0) << good.err;
  EXPECT_THAT(good.out, HasSubstr("1 of 2 clips have no problem"));
  EXPECT_THAT(good.out, HasSubstr("unreadable"));
  EXPECT_THAT(good.out, HasSubstr("resnet50_3d, 5 classes, RANDOM WEIGHTS"));
  EXPECT_FALSE(std::filesystem::exists(folder / "out")) << "a check wrote results";
  EXPECT_EQ(run_program({"check", "c.yaml", "dataset.max_failures=0"}, folder.path()).exit_code, 3);
}

TEST(Verbs, CheckComparesASampleWithWhatIsPublished) {
  const TemporaryFolder folder;
  const std::vector<std::string> check{"check",
                                       CFP_SOURCE_DIR "/configs/demo.yaml",
                                       "dataset.data_root=data",
                                       "dataset.count=40",
                                       "--sample",
                                       "30"};
  const ProgramResult good = run_program(check, folder.path());
  EXPECT_EQ(good.exit_code, 0) << good.out << good.err;
  EXPECT_THAT(good.out, HasSubstr("sample      30 labelled clips: top-1 "));
  EXPECT_THAT(good.out, HasSubstr("published   top-1 99.2 %"));
  EXPECT_THAT(good.out, testing::Not(HasSubstr("WARNING")));

  // Values on another scale than the network was trained with.
  std::vector<std::string> wrong = check;
  wrong.emplace_back("preprocess.value_range=[0, 255]");
  const ProgramResult bad = run_program(wrong, folder.path());
  EXPECT_EQ(bad.exit_code, 0) << bad.out << bad.err;
  EXPECT_THAT(bad.out, HasSubstr("WARNING     the sample is far below it"));
  EXPECT_THAT(bad.out, HasSubstr("the order of classes"));
}

/// The clips of the demo as a list with numbers as labels, which `number` makes of those of the
/// data set.
void write_numbers(const std::filesystem::path& folder, const std::function<int(int)>& number) {
  CsvTable table(folder / "manifest.csv");
  std::string list;
  while (table.next()) {
    list += fmt::format("{} {}\n", table.at("path"), number(std::stoi(table.at("label"))));
  }
  write_text(folder / "list.txt", list);
}

TEST(Verbs, RefuseNumbersWhoseOrderNobodyStated) {
  const TemporaryFolder folder;
  const std::string demo = CFP_SOURCE_DIR "/configs/demo.yaml";
  ASSERT_EQ(
      run_program({"index", demo, "dataset.data_root=data", "dataset.count=40", "--probe", "none"},
                  folder.path())
          .exit_code,
      0);
  write_text(folder / "c.yaml", fmt::format("dataset: {{type: list, file: list.txt}}\n"
                                            "network: {{checkpoint: {}}}\n",
                                            kDemo));
  const std::string stated = "network.class_names=dataset";
  write_numbers(folder.path(), [](int label) { return label; });
  const ProgramResult unstated = run_program({"check", "c.yaml"}, folder.path());
  EXPECT_EQ(unstated.exit_code, 2) << unstated.out;
  EXPECT_THAT(unstated.out, HasSubstr("the labels of the data set are numbers"));
  EXPECT_THAT(unstated.out, HasSubstr("`network.class_names: dataset`"));
  const ProgramResult right =
      run_program({"check", "c.yaml", "--sample", "30", stated}, folder.path());
  EXPECT_EQ(right.exit_code, 0) << right.out;
  EXPECT_THAT(right.out, HasSubstr("labels      classes joined by number"));
  // The network is known by its preset, and the clips are said to be of nothing.
  EXPECT_THAT(right.out, HasSubstr("published   top-1 99.2 % on moving_shapes"));
  EXPECT_THAT(right.out, HasSubstr("nothing says whether these clips are of moving_shapes"));
  EXPECT_THAT(right.out, testing::Not(HasSubstr("WARNING")));

  write_numbers(folder.path(), [](int label) { return 9 - label; });
  const ProgramResult reversed =
      run_program({"check", "c.yaml", "--sample", "30", stated}, folder.path());
  EXPECT_THAT(reversed.out, HasSubstr("WARNING     the sample is far below it"));
  // Names for the numbers are joined to the network's, in whatever order they count.
  std::string names;
  const std::vector<std::string> classes = moving_shapes_manifest({.count = 1}, "x").class_names;
  for (auto name = classes.rbegin(); name != classes.rend(); ++name) names += *name + "\n";
  write_text(folder / "names.txt", names);
  const ProgramResult named = run_program(
      {"check", "c.yaml", "--sample", "30", "dataset.class_names=names.txt"}, folder.path());
  EXPECT_EQ(named.exit_code, 0) << named.out;
  EXPECT_THAT(named.out, HasSubstr("10 classes joined by name"));
  EXPECT_THAT(named.out, testing::Not(HasSubstr("WARNING")));
}

TEST(Verbs, CheckDrawsItsSampleFromGoodClips) {
  const TemporaryFolder folder;
  const std::vector<std::string> check{"check",
                                       CFP_SOURCE_DIR "/configs/demo.yaml",
                                       "dataset.data_root=data",
                                       "dataset.count=20",
                                       "dataset.max_failures=10",
                                       "--sample",
                                       "10"};
  ASSERT_EQ(run_program(check, folder.path()).exit_code, 0);
  int broken = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder / "data")) {
    if (entry.path().extension() != ".mp4" || ++broken > 10) continue;
    write_text(entry.path(), "no video");
  }
  const ProgramResult result = run_program(check, folder.path());
  EXPECT_EQ(result.exit_code, 0) << result.out << result.err;
  EXPECT_THAT(result.out, HasSubstr("10 of 20 clips have no problem"));
  EXPECT_THAT(result.out, HasSubstr("sample      10 labelled clips"));
  EXPECT_THAT(result.out, testing::Not(HasSubstr("more failed")));
}

TEST(Verbs, ThePublishedFigureIsFoundThroughAManifestToo) {
  const TemporaryFolder folder;
  ASSERT_EQ(run_program({"index", CFP_SOURCE_DIR "/configs/demo.yaml", "dataset.data_root=data",
                         "dataset.count=10"},
                        folder.path())
                .exit_code,
            0);
  write_text(folder / "c.yaml", fmt::format("dataset: {{type: manifest, file: manifest.csv}}\n"
                                            "network: {{checkpoint: {}}}\n",
                                            kDemo));
  const ProgramResult result = run_program({"check", "c.yaml", "--sample", "10"}, folder.path());
  EXPECT_EQ(result.exit_code, 0) << result.out << result.err;
  EXPECT_THAT(result.out, HasSubstr("published   top-1 99.2 % on moving_shapes"));
  EXPECT_THAT(result.out, testing::Not(HasSubstr("nothing says whether")));
}

TEST(Verbs, RefuseFilesAboutClipsThatAreNotThere) {
  const TemporaryFolder folder;
  make_video(folder / "clips/a/one.mkv");
  write_text(folder / "c.yaml", tiny_config("{type: folder, data_root: clips}"));
  for (const char* key : {"boxes", "masks_root"}) {
    const ProgramResult result =
        run_program({"check", "c.yaml", fmt::format("dataset.{}=nowhere", key)}, folder.path());
    EXPECT_EQ(result.exit_code, 2) << result.out;
    EXPECT_THAT(result.out, HasSubstr(fmt::format("dataset.{}: nowhere: no such ", key)));
  }
}

TEST(Verbs, ListNamesWhatThereIs) {
  const TemporaryFolder folder;
  const ProgramResult result = run_program({"list"}, folder.path());
  EXPECT_EQ(result.exit_code, 0);
  for (const char* name : {"moving_shapes", "resnext101_3d", "kenshohara2020", "gradient"}) {
    EXPECT_THAT(result.out, HasSubstr(name));
  }
  EXPECT_EQ(run_program({"list", "shoes"}, folder.path()).exit_code, 2);
}

TEST(Verbs, InspectReadsCheckpointsPartsAndVideos) {
  const TemporaryFolder folder;
  const ProgramResult checkpoint = run_program({"inspect", kDemo}, folder.path());
  EXPECT_EQ(checkpoint.exit_code, 0) << checkpoint.err;
  EXPECT_THAT(checkpoint.out, HasSubstr("layer4.0.conv3.weight"));

  make_video(folder / "clips/a/one.mkv");
  const ProgramResult video = run_program({"inspect", "clips/a/one.mkv"}, folder.path());
  EXPECT_THAT(video.out, HasSubstr("64 x 48 pixels"));
  EXPECT_THAT(video.out, HasSubstr("frames      20"));

  write_text(folder / "c.yaml", tiny_config("{type: folder, data_root: clips}"));
  ASSERT_EQ(run_program({"run", "-q", "c.yaml"}, folder.path()).exit_code, 0);
  const ProgramResult part = run_program({"inspect", "out/part-00000.h5"}, folder.path());
  EXPECT_THAT(part.out, HasSubstr("clips       1\n"));
  EXPECT_THAT(part.out, HasSubstr("RANDOM WEIGHTS"));

  EXPECT_EQ(run_program({"inspect", "nothing.mp4"}, folder.path()).exit_code, 2);
  EXPECT_EQ(run_program({"inspect", "nothing.pth"}, folder.path()).exit_code, 4);
  EXPECT_EQ(run_program({"inspect", "nothing.h5"}, folder.path()).exit_code, 4);
}

TEST(Verbs, ConvertWritesACheckpointThatNeedsNoOptions) {
  const TemporaryFolder folder;
  std::string names;
  for (int i = 0; i < 10; ++i) names += fmt::format("class {}\n", i);
  write_text(folder / "names.txt", names);
  const ProgramResult result = run_program(
      {"convert", kDemo, "out.safetensors", "--class-names", "names.txt", "--preset", "demo"},
      folder.path());
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("resnet50_3d, 10 classes with names, preset demo"));
  EXPECT_THAT(run_program({"inspect", "out.safetensors"}, folder.path()).out, HasSubstr("class 9"));
  EXPECT_EQ(run_program({"convert", kDemo, "/proc/x.safetensors"}, folder.path()).exit_code, 4);
  EXPECT_EQ(run_program({"convert", "no.pth", "x.safetensors"}, folder.path()).exit_code, 4);
}

TEST(Verbs, DoctorTriesWhatARunNeeds) {
  const TemporaryFolder folder;
  const ProgramResult result = run_program({"doctor"}, folder.path());
  EXPECT_EQ(result.exit_code, 0) << result.out;
  EXPECT_THAT(result.out, HasSubstr("cpu"));
  EXPECT_THAT(result.out, HasSubstr("ok      JPEG pictures"));
  EXPECT_THAT(result.out,
              testing::ContainsRegex("fused convolutions on the CPU: (available|NOT AVAILABLE)"));
}

TEST(Verbs, VersionAndHelpEndWell) {
  const TemporaryFolder folder;
  EXPECT_THAT(run_program({"--version"}, folder.path()).out, testing::StartsWith("cfp "));
  const ProgramResult help = run_program({"--help"}, folder.path());
  EXPECT_EQ(help.exit_code, 0);
  for (const char* verb : {"run", "check", "render", "export-graph", "config", "list", "inspect",
                           "convert", "doctor"}) {
    EXPECT_THAT(help.out, HasSubstr(verb));
  }
}

}  // namespace
}  // namespace cfp::test
