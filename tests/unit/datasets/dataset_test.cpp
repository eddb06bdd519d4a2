#include "datasets/dataset.h"

#include <gmock/gmock.h>

#include "stages/core/errors.h"
#include "tests/unit/datasets/support.h"

namespace cfp {
namespace {

using test::message_of;
using testing::ElementsAre;
using testing::HasSubstr;

/// Labels 0 1 2 0 1 2 … and an unlabelled row at each end.
Manifest seven_rows(bool with_names) {
  Manifest manifest;
  if (with_names) manifest.class_names = {"air drumming", "jump", "walk"};
  const std::vector<std::optional<int>> labels{{}, 0, 1, 2, 0, 1, {}};
  for (std::size_t i = 0; i < labels.size(); ++i) {
    manifest.rows.push_back({{.row = static_cast<std::int64_t>(i),
                              .clip_id = std::string(1, static_cast<char>('a' + i)),
                              .media = {.path = "x.mp4"},
                              .label = labels[i]}});
  }
  return manifest;
}

std::string ids(const Manifest& manifest) {
  std::string all;
  for (const ClipRequest& row : manifest.rows) all += row.clip_id;
  return all;
}

TEST(SelectRows, KeepsAllByDefault) {
  const Manifest manifest = seven_rows(true);
  EXPECT_EQ(select_rows(manifest, {}).rows, manifest.rows);
}

TEST(SelectRows, KeepsClassesByNameAndNumbersRowsAnew) {
  const Manifest selected = select_rows(seven_rows(true), {.classes = {"Walk", "air_drumming"}});
  EXPECT_EQ(ids(selected), "bde");
  EXPECT_EQ(selected.rows[2].row, 2);
  EXPECT_EQ(selected.rows[1].label, 2) << "labels stay those of the whole data set";
  EXPECT_THAT(selected.class_names, ElementsAre("air drumming", "jump", "walk"));
  EXPECT_THAT(selected.provenance, HasSubstr("3 of them selected"));
}

TEST(SelectRows, KeepsClassesByNumberWhereThereAreNoNames) {
  EXPECT_EQ(ids(select_rows(seven_rows(false), {.classes = {"1"}})), "cf");
}

TEST(SelectRows, KeepsTheFirstOfEachClass) {
  EXPECT_EQ(ids(select_rows(seven_rows(true), {.max_per_class = 1})), "abcd");
  EXPECT_EQ(ids(select_rows(seven_rows(true), {.classes = {"jump"}, .max_per_class = 1})), "c");
}

TEST(SelectRows, RefusesWhatSelectsNothing) {
  const auto refusal = [](bool names, const DatasetSelect& select) {
    return message_of<ConfigError>([&] { select_rows(seven_rows(names), select); });
  };
  EXPECT_THAT(
      refusal(true, {.classes = {"jumpp"}}),
      HasSubstr("'jumpp' is no class of the data set (did you mean 'jump'?); it has 3 classes"));
  EXPECT_THAT(refusal(true, {.classes = {"1"}}), HasSubstr("'1' is no class"));
  EXPECT_THAT(refusal(false, {.classes = {"jump"}}), HasSubstr("numbers without names"));
  EXPECT_THAT(refusal(false, {.classes = {"7"}}), HasSubstr("none of the 7 clips"));
  EXPECT_THAT(refusal(true, {.max_per_class = -1}), HasSubstr("select.max_per_class is -1"));
}

TEST(SelectRows, KeepsTheFirstOfAllAndOfEachClass) {
  EXPECT_EQ(ids(select_rows(seven_rows(true), {.max_clips = 3})), "abc");
  EXPECT_EQ(ids(select_rows(seven_rows(true), {.classes = {"jump"}, .max_clips = 1})), "c");
  EXPECT_EQ(ids(select_rows(seven_rows(true), {.max_per_class = 1, .max_clips = 3})), "abc");
}

TEST(SelectRows, ShufflesByASeedAlone) {
  const Manifest shuffled = select_rows(seven_rows(true), {.shuffled = true, .seed = 1});
  std::string sorted = ids(shuffled);
  EXPECT_NE(sorted, "abcdefg");
  EXPECT_EQ(sorted, ids(select_rows(seven_rows(true), {.shuffled = true, .seed = 1})));
  EXPECT_NE(sorted, ids(select_rows(seven_rows(true), {.shuffled = true, .seed = 2})));
  // The first of a shuffled order are its first, and rows count anew.
  EXPECT_EQ(ids(select_rows(seven_rows(true), {.max_clips = 2, .shuffled = true, .seed = 1})),
            sorted.substr(0, 2));
  EXPECT_EQ(shuffled.rows[3].row, 3);
  std::ranges::sort(sorted);
  EXPECT_EQ(sorted, "abcdefg");
  // Rows that go leave the order of the others as it was.
  Manifest fewer = seven_rows(true);
  fewer.rows.erase(fewer.rows.begin());
  std::string without_a = ids(shuffled);
  std::erase(without_a, 'a');
  EXPECT_EQ(ids(select_rows(fewer, {.shuffled = true, .seed = 1})), without_a);
}

TEST(LoadDataset, NotesTheFilesAboutItsClips) {
  const test::TemporaryFolder folder;
  test::write_file(folder / "list.csv", "path,label,clip_id\na.mp4,0,P01-R01-Pizza-1-2\n");
  test::write_file(folder / "gaze/P01-R01-Pizza.txt", "");
  std::filesystem::create_directories(folder / "masks/P01-R01-Pizza-1-2");
  const Manifest manifest = load_dataset({.type = "list",
                                          .file = (folder / "list.csv").string(),
                                          .gaze_root = (folder / "gaze").string(),
                                          .boxes = "boxes.csv",
                                          .masks_root = (folder / "masks").string()});
  EXPECT_EQ(manifest.rows[0].references,
            (ClipReferences{.gaze = (folder / "gaze/P01-R01-Pizza.txt").string(),
                            .boxes = "boxes.csv",
                            .masks = (folder / "masks/P01-R01-Pizza-1-2").string()}));
}

TEST(LoadDataset, NamesTheTypesThereAre) {
  EXPECT_THAT(dataset_types(),
              testing::IsSupersetOf({"egtea", "epic100", "epic55", "folder", "hmdb51",
                                     "kinetics400", "kinetics600", "kinetics700", "list",
                                     "manifest", "moving_shapes", "ucf101"}));
  EXPECT_THAT(
      message_of<ConfigError>([] { load_dataset({.type = "kinetcs"}); }),
      HasSubstr("'kinetcs'; there are: egtea, epic100, epic55, folder, hmdb51, kinetics400"));
}

}  // namespace
}  // namespace cfp
