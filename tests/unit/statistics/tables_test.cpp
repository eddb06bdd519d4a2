// Tables against numbers recomputed from the same part by numpy, and by hand.
#include "results/statistics/tables.h"

#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "results/statistics/csv.h"
#include "results/statistics/summary_json.h"
#include "results/store/part_reader.h"
#include "results/store/part_writer.h"
#include "tests/support/run_command.h"
#include "tests/support/test_data.h"
#include "tests/unit/store/example_clips.h"

namespace cfp {
namespace {

using testing::HasSubstr;
using testing::Not;

RunInfo example_info(bool random_weights = true) {
  return {.name = "demo, \"one\"",
          .network = "resnet50_3d",
          .method = "gradient",
          .dataset = "folder",
          .class_names = {"walk", "run & <jump>", "sit, down"},
          .random_weights = random_weights};
}

std::string text_of(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

class Recomputed : public testing::TestWithParam<test::ExampleShape> {};

TEST_P(Recomputed, NumpyFindsTheSameNumbersInThePart) {
  const std::string python = test::python_with("h5py", CFP_SOURCE_DIR);
  CFP_SKIP_WITHOUT_PYTHON(python, "h5py");
  const test::TemporaryFolder folder;
  RunStatistics statistics(example_info());
  PartWriter part(folder / "part.h5", {});
  FailuresCsv failures(folder / "failures.csv", true);
  for (int i = 0; i < 60; ++i) {
    const ClipResult clip = test::example_clip(i, GetParam());
    part.append(clip);
    statistics.add(clip);
    if (i % 7 != 0) continue;
    part.append_failure(test::example_failure(i));
    failures.add(test::example_failure(i));
    statistics.add_failure(test::example_failure(i));
  }
  part.finish();
  failures.finish();
  write_tables(folder.path(), statistics);
  const test::CommandResult result =
      test::run_command(python + " " CFP_SOURCE_DIR "/tests/unit/statistics/recompute.py " +
                        (folder / "part.h5").string() + " " + folder.path().string());
  EXPECT_EQ(result.exit_code, 0) << result.output;
  EXPECT_EQ(result.output, "equal\n");
}

INSTANTIATE_TEST_SUITE_P(Shapes, Recomputed,
                         testing::Values(test::ExampleShape{}, test::ExampleShape{.targets = 2},
                                         // More kernels than bits in a word of a set.
                                         test::ExampleShape{.classes = 12, .kernels = 80}));

TEST(Tables, OfAPartReadBackAreThoseOfTheRun) {
  const test::TemporaryFolder folder;
  RunStatistics of_run(example_info()), of_part(example_info());
  {
    PartWriter part(folder / "part.h5", {});
    for (int i = 0; i < 20; ++i) {
      part.append(test::example_clip(i));
      of_run.add(test::example_clip(i));
    }
    part.finish();
  }
  const PartReader part(folder / "part.h5");
  for (int i = 0; i < part.clips(); ++i) of_part.add(part.read(i));
  EXPECT_EQ(summary_json(of_run), summary_json(of_part));
}

TEST(Tables, OfARunWithoutASingleClipAreThere) {
  const test::TemporaryFolder folder;
  RunStatistics statistics(example_info(false));
  statistics.add_failure(test::example_failure(0));
  write_tables(folder.path(), statistics);
  const auto json = nlohmann::json::parse(text_of(folder / "summary.json"));
  EXPECT_EQ(json["clips"]["done"], 0);
  EXPECT_EQ(json["clips"]["failed"], 1);
  EXPECT_TRUE(json["accuracy"]["top1"].is_null());
  EXPECT_EQ(json["weights"], "checkpoint");
  EXPECT_FALSE(json.contains("note"));
  EXPECT_THAT(text_of(folder / "summary.csv"), HasSubstr(",0,1,0,,,,0,,,,,,,,checkpoint\n"));
  EXPECT_THAT(format_summary(statistics), HasSubstr("0 done, 1 failed (missing 1)"));
}

TEST(Tables, SayWhenTheWeightsAreRandom) {
  RunStatistics statistics(example_info());
  statistics.add(test::example_clip(0));
  EXPECT_THAT(summary_json(statistics), HasSubstr(kRandomWeightsNote));
  EXPECT_THAT(format_summary(statistics), HasSubstr(kRandomWeightsNote));
  RunStatistics trained(example_info(false));
  trained.add(test::example_clip(0));
  EXPECT_THAT(summary_json(trained), Not(HasSubstr("RANDOM")));
  EXPECT_THAT(format_summary(trained), Not(HasSubstr("RANDOM")));
}

TEST(Tables, QuoteWhatCsvMustQuote) {
  EXPECT_EQ(csv_line({"plain", 1, 0.5, std::optional<double>(), "a,b", "say \"x\"", "two\nlines",
                      " edge", ""}),
            "plain,1,0.5,,\"a,b\",\"say \"\"x\"\"\",\"two\nlines\",\" edge\",\n");
  EXPECT_EQ(csv_line({"", 2}), ",2\n");
}

TEST(Tables, JsonOfANameThatIsNotUtf8IsStillJson) {
  RunInfo info = example_info();
  info.class_names = {"caf\xE9"};
  RunStatistics statistics(info);
  statistics.add(test::example_clip(0));
  EXPECT_TRUE(nlohmann::json::accept(summary_json(statistics)));
}

TEST(FormatSummary, ShortensLongTablesAndSaysWhereTheRestIs) {
  RunStatistics statistics(example_info(false));
  for (int i = 0; i < 40; ++i) statistics.add(test::example_clip(i));
  for (int i = 0; i < 9; ++i) statistics.add_failure(test::example_failure(i));
  const std::string text =
      format_summary(statistics, {.max_layers = 1, .max_classes = 2, .max_failures = 3});
  EXPECT_THAT(text, HasSubstr("… and 2 more in per_layer.csv"));
  EXPECT_THAT(text, HasSubstr("… and 5 more in per_class.csv"));
  EXPECT_THAT(text, HasSubstr("… and 6 more in failures.csv"));
  EXPECT_THAT(text, HasSubstr("walk"));
}

TEST(FormatSummary, PrintsNoControlCharacterOfAName) {
  RunInfo info = example_info();
  info.class_names = {"\x1B[2Jgone\a"};
  RunStatistics statistics(info);
  ClipResult clip = test::example_clip(0);
  clip.label = 0;
  statistics.add(clip);
  const std::string text = format_summary(statistics);
  EXPECT_THAT(text, Not(HasSubstr("\x1B")));
  EXPECT_THAT(text, HasSubstr("?[2Jgone?"));
}

}  // namespace
}  // namespace cfp
