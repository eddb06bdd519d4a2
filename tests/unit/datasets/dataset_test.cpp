#include "datasets/dataset.h"

#include <algorithm>

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "stages/core/errors.h"
#include "tests/unit/datasets/support.h"

namespace cfp {
namespace {

using test::message_of;
using test::write_file;
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

/// A list of one clip, with files about it.
class ClipWithReferences : public testing::Test {
 protected:
  ClipWithReferences() {
    write_file(folder_ / "list.csv", "path,label,clip_id\na.mp4,0,P01-R01-Pizza-1-2\n");
    write_file(folder_ / "gaze/P01-R01-Pizza.txt", "");
    write_file(folder_ / "boxes.csv", "");
    std::filesystem::create_directories(folder_ / "masks/P01-R01-Pizza-1-2");
    std::filesystem::create_directories(folder_ / "other masks/P01-R01-Pizza-1-2");
  }

  std::string at(const std::string& name) const { return (folder_ / name).string(); }
  DatasetOptions list() const { return {.type = "list", .file = at("list.csv")}; }
  DatasetOptions all() const {
    DatasetOptions options = list();
    options.gaze_root = at("gaze");
    options.boxes = at("boxes.csv");
    options.masks_root = at("masks");
    return options;
  }
  const test::TemporaryFolder folder_;
};

TEST_F(ClipWithReferences, HasThemNoted) {
  const Manifest manifest = load_dataset(all());
  EXPECT_EQ(manifest.rows[0].references, (ClipReferences{.gaze = at("gaze/P01-R01-Pizza.txt"),
                                                         .boxes = at("boxes.csv"),
                                                         .masks = at("masks/P01-R01-Pizza-1-2")}));
  EXPECT_THAT(manifest.notes,
              testing::Contains("references  gaze of 1 clips, masks of 1, boxes of 1"));
}

TEST_F(ClipWithReferences, IsRefusedWhereAPlaceOfThemIsNotThere) {
  const auto refusal = [&](std::string DatasetOptions::*key, const std::string& name) {
    DatasetOptions options = all();
    options.*key = at(name);
    return message_of<ConfigError>([&] { load_dataset(options); });
  };
  EXPECT_EQ(refusal(&DatasetOptions::gaze_root, "gase"),
            "dataset.gaze_root: " + at("gase") + ": no such folder");
  EXPECT_EQ(refusal(&DatasetOptions::gaze_root, "boxes.csv"),
            "dataset.gaze_root: " + at("boxes.csv") + ": no such folder");
  EXPECT_EQ(refusal(&DatasetOptions::boxes, "box.csv"),
            "dataset.boxes: " + at("box.csv") + ": no such file");
  EXPECT_EQ(refusal(&DatasetOptions::boxes, "gaze"),
            "dataset.boxes: " + at("gaze") + ": no such file");
  EXPECT_EQ(refusal(&DatasetOptions::masks_root, "mask"),
            "dataset.masks_root: " + at("mask") + ": no such folder");
}

TEST_F(ClipWithReferences, KeepsThoseOfItsManifestThatAreNotGivenAnew) {
  write_manifest(folder_ / "m.csv", load_dataset(all()));
  const Manifest manifest =
      load_dataset({.type = "manifest", .file = at("m.csv"), .masks_root = at("other masks")});
  EXPECT_EQ(manifest.rows[0].references,
            (ClipReferences{.gaze = at("gaze/P01-R01-Pizza.txt"),
                            .boxes = at("boxes.csv"),
                            .masks = at("other masks/P01-R01-Pizza-1-2")}));
}

TEST(LoadDataset, TakesAnyHeadOfAManifest) {
  const test::TemporaryFolder folder;
  const std::string file = (folder / "m.csv").string();
  Manifest written{.heads = {{"verb", {"take", "put"}}, {"noun", {"pan", "plate", "tap"}}},
                   .class_names = {"take", "put"},
                   .dataset = "epic55"};
  for (int i = 0; i < 3; ++i) {
    written.rows.push_back({{.row = i,
                             .clip_id = std::string(1, static_cast<char>('a' + i)),
                             .media = {.path = "x.mp4"},
                             .label = i % 2},
                            {i % 2, i == 1 ? std::nullopt : std::optional<int>(i)}});
  }
  write_manifest(file, written);
  const auto labels = [](const Manifest& manifest) {
    std::vector<std::optional<int>> all;
    for (const ClipRequest& row : manifest.rows) all.push_back(row.label);
    return all;
  };
  const Manifest as_written = load_dataset({.type = "manifest", .file = file});
  EXPECT_THAT(labels(as_written), ElementsAre(0, 1, 0));
  EXPECT_EQ(as_written.dataset, "epic55");
  const Manifest nouns = load_dataset({.type = "manifest", .file = file, .head = "noun"});
  EXPECT_THAT(labels(nouns), ElementsAre(0, std::nullopt, 2));
  EXPECT_THAT(nouns.class_names, ElementsAre("pan", "", "tap")) << "names that a row has";
  EXPECT_EQ(
      ids(load_dataset(
          {.type = "manifest", .file = file, .head = "noun", .select = {.classes = {"tap"}}})),
      "c");

  EXPECT_THAT(message_of<ConfigError>(
                  [&] { load_dataset({.type = "manifest", .file = file, .head = "action"}); }),
              HasSubstr("dataset.head is 'action'; the manifest has the heads verb, noun"));
  for (ManifestRow& row : written.rows) row.labels.clear();
  written.heads.clear();
  write_manifest(file, written);
  EXPECT_THAT(message_of<ConfigError>(
                  [&] { load_dataset({.type = "manifest", .file = file, .head = "verb"}); }),
              HasSubstr("the manifest has one label a clip, and no column of another head"));
}

TEST(LoadDataset, NamesThePublishedDataSetAlone) {
  const test::TemporaryFolder folder;
  write_file(folder / "list.txt", "a.mp4 0\n");
  EXPECT_EQ(load_dataset({.type = "list", .file = (folder / "list.txt").string()}).dataset, "");
  EXPECT_EQ(load_dataset({.type = "moving_shapes",
                          .data_root = (folder / "shapes").string(),
                          .moving_shapes = {.count = 1}})
                .dataset,
            "moving_shapes");
}

/// The ids and classes of a manifest, in order.
std::vector<std::string> ids_and_classes(const Manifest& manifest) {
  std::vector<std::string> all;
  for (const ManifestRow& row : manifest.rows) {
    all.push_back(row.clip_id + ": " + manifest.class_name(row));
  }
  return all;
}

TEST(LoadDataset, ReadsKinetics600And700AsTheirFilesAreCalled) {
  const std::string rows =
      "label,youtube_id,time_start,time_end,split\n"
      "yawning,--nQbRBEz2s,104,114,validate\n"
      "\"abseiling\",_wR5jVB-WPk,417.0,427.0,validate\n"
      "abseiling,0000000test,1,11,test\n";
  for (const auto& [type, name] :
       {std::pair("kinetics600", "kinetics-600_validate.csv"),
        std::pair("kinetics600", "validate.csv"), std::pair("kinetics600", "kinetics600/val.csv"),
        std::pair("kinetics700", "kinetics-700_val.csv"),
        std::pair("kinetics700", "kinetics700/validate.csv"),
        std::pair("kinetics700", "k700_validation.csv")}) {
    SCOPED_TRACE(name);
    const test::TemporaryFolder folder;
    write_file(folder / name, rows);
    write_file(folder / "clips/yawning/--nQbRBEz2s_000104_000114.mp4", "x");
    const Manifest manifest = load_dataset({.type = type,
                                            .data_root = (folder / "clips").string(),
                                            .annotations = folder.path().string()});
    EXPECT_THAT(ids_and_classes(manifest), ElementsAre("--nQbRBEz2s_000104_000114: yawning",
                                                       "_wR5jVB-WPk_000417_000427: abseiling"));
    EXPECT_THAT(manifest.class_names, ElementsAre("abseiling", "yawning"));
    EXPECT_FALSE(manifest.rows[0].problem.has_value());
    EXPECT_EQ(manifest.rows[1].problem->reason, FailureReason::kMissing);
    EXPECT_EQ(manifest.dataset, type);
  }
  // The files of one are not those of the other.
  const test::TemporaryFolder folder;
  write_file(folder / "kinetics-600_val.csv", rows);
  EXPECT_THAT(message_of<ConfigError>([&] {
                load_dataset({.type = "kinetics700", .data_root = folder.path().string()});
              }),
              HasSubstr("holds none of the annotation files val.csv"));
}

TEST(LoadDataset, TakesTheOrderOfKinetics700FromItsLabelMap) {
  const test::TemporaryFolder folder;
  write_file(folder / "train.csv",
             "label,youtube_id,time_start,time_end,split\n"
             "abseiling,--nQbRBEz2s,104,114,train\njetskiing,_wR5jVB-WPk,4,14,train\n");
  write_file(folder / "label_map_k700.txt", "slicing onion\njetskiing\nabseiling\n");
  const DatasetOptions options{
      .type = "kinetics700", .data_root = folder.path().string(), .split = "train"};
  const Manifest manifest = load_dataset(options);
  EXPECT_EQ(manifest.rows[0].label, 2);
  EXPECT_EQ(manifest.rows[1].label, 1);
  write_file(folder / "label_map_k700.txt", "jetskiing\n");
  EXPECT_THAT(message_of<ConfigError>([&] { load_dataset(options); }),
              HasSubstr("train.csv:2: 'abseiling' is no class of the data set"));
}

/// EPIC-KITCHENS-100 with four segments, two of which are in a tail and two of an unseen person.
class Epic100Subsets : public testing::Test {
 protected:
  Epic100Subsets() {
    std::string rows =
        "narration_id,participant_id,video_id,narration_timestamp,start_timestamp,stop_timestamp,"
        "start_frame,stop_frame,narration,verb,verb_class,noun,noun_class,all_nouns,"
        "all_noun_classes\n";
    const auto add = [&](const std::string& id, int verb, int noun) {
      rows += fmt::format(
          "{}_0,{},{},00:00:00.560,00:00:00.00,00:00:01.89,1,113,x,x,{},x,{},['x'],[{}]\n", id,
          id.substr(0, 3), id, verb, noun, noun);
    };
    add("P01_11", 0, 0);
    add("P01_12", 1, 0);
    add("P18_01", 0, 1);
    add("P18_02", 0, 0);
    write_file(folder_ / "EPIC_100_validation.csv", rows);
    write_file(
        folder_ / "EPIC_100_verb_classes.csv",
        "id,key,instances,category\n0,take,['take'],retrieve\n1,sharpen,['sharpen'],other\n");
    write_file(folder_ / "EPIC_100_noun_classes.csv",
               "id,key,instances,category\n0,pan,['pan'],cookware\n1,whetstone,['w'],other\n");
  }

  DatasetOptions options(const std::string& subset, const std::string& head = "verb") const {
    return {
        .type = "epic100", .data_root = folder_.path().string(), .head = head, .subset = subset};
  }
  std::vector<std::string> rows_of(const std::string& subset, const std::string& head) const {
    return ids_and_classes(load_dataset(options(subset, head)));
  }
  const test::TemporaryFolder folder_;
};

TEST_F(Epic100Subsets, KeepTheTailOfTheHeadInUse) {
  write_file(folder_ / "EPIC_100_tail_verbs.csv", "verb\n1\n");
  write_file(folder_ / "EPIC_100_tail_nouns.csv", "noun\n1\n");
  EXPECT_THAT(rows_of("tail", "verb"), ElementsAre("P01_12_0: sharpen"));
  EXPECT_THAT(rows_of("tail", "noun"), ElementsAre("P18_01_0: whetstone"));
  EXPECT_THAT(rows_of("tail", "action"),
              ElementsAre("P01_12_0: sharpen pan", "P18_01_0: take whetstone"))
      << "an action is in the tail where its verb or its noun is";
  EXPECT_THAT(load_dataset(options("tail")).provenance, HasSubstr("tail verbs: 1 of 4"));
  EXPECT_EQ(rows_of("all", "verb").size(), 4u);
}

TEST_F(Epic100Subsets, KeepUnseenParticipants) {
  write_file(folder_ / "EPIC_100_unseen_participant_ids_validation.csv", "participant_id\nP18\n");
  EXPECT_THAT(rows_of("unseen", "verb"), ElementsAre("P18_01_0: take", "P18_02_0: take"));
  EXPECT_THAT(load_dataset(options("unseen")).provenance, HasSubstr("unseen participants: 2 of 4"));
}

TEST_F(Epic100Subsets, NeedTheirFilesAndAClip) {
  const auto refusal = [&](const std::string& subset) {
    return message_of<ConfigError>([&] { load_dataset(options(subset)); });
  };
  EXPECT_THAT(refusal("tail"),
              HasSubstr("holds none of the annotation files EPIC_100_tail_verbs.csv"));
  EXPECT_THAT(
      refusal("unseen"),
      HasSubstr("none of the annotation files EPIC_100_unseen_participant_ids_validation.csv"));
  EXPECT_THAT(refusal("many_shot"), HasSubstr("dataset.subset is 'many_shot'; this data set has"));
  write_file(folder_ / "EPIC_100_unseen_participant_ids_validation.csv", "participant_id\nP02\n");
  EXPECT_THAT(refusal("unseen"),
              HasSubstr("dataset.subset: none of the 4 clips is unseen participants"));
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
