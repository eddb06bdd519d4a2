// The sections of the config, and the keys of those that say what is explained.

#include "pipeline/config/schema_table.h"

#include <algorithm>
#include <iterator>

#include "stages/core/preprocess.h"

namespace cfp {
namespace {

constexpr ValueKind kInteger = ValueKind::kInteger;
constexpr ValueKind kReal = ValueKind::kReal;
constexpr ValueKind kText = ValueKind::kText;

Keys general_keys() {
  return {
      {.path = "name",
       .kinds = {kText},
       .default_yaml = "${config_name}",
       .changes_results = false,
       .meaning = "Name of the run, for its folder and its reports."},
  };
}

Keys dataset_keys() {
  // Data sets with an adapter of their own.
  const std::string published =
      "kinetics400 kinetics600 kinetics700 ucf101 hmdb51 epic55 epic100 egtea";
  return {
      {.path = "dataset.type",
       .words = {"folder", "list", "manifest", "moving_shapes", "kinetics400", "kinetics600",
                 "kinetics700", "ucf101", "hmdb51", "epic55", "epic100", "egtea"},
       .required = true,
       .meaning = "Where clips come from: a folder for each class, a list of files, what `cfp "
                  "index` wrote, generated clips, or a data set as its publisher ships it "
                  "([datasets.md](datasets.md))."},
      {.path = "dataset.data_root",
       .kinds = {kText},
       .default_yaml = "null",
       .meaning = "`folder`: the folder of class folders; `list`: what relative paths of the list "
                  "start from (unset: the list's folder); `moving_shapes`: where the generated "
                  "clips are kept; of a published data set the folder that videos or folders of "
                  "pictures lie in or below."},
      {.path = "dataset.annotations",
       .kinds = {kText},
       .default_yaml = "null",
       .only_with = published,
       .meaning = "The publisher's annotation file, or the folder of them; unset: data_root."},
      {.path = "dataset.split",
       .words = {"train", "val", "validation", "test", "test_s1", "test_s2", "unused", "all"},
       .default_yaml = "null",
       .only_with = "list moving_shapes " + published,
       .meaning = "Which part; unset: val (kinetics), test (ucf101, hmdb51, egtea, moving_shapes), "
                  "train (epic55), validation (epic100). With `list` of a `.json` file alone."},
      {.path = "dataset.split_id",
       .kinds = {kInteger},
       .default_yaml = "1",
       .minimum = 1,
       .maximum = 3,
       .only_with = "ucf101 hmdb51 egtea",
       .meaning = "Which of the three official splits."},
      {.path = "dataset.head",
       .words = {"verb", "noun", "action"},
       .default_yaml = "null",
       .only_with = "manifest epic55 epic100 egtea",
       .meaning =
           "Which of several labels of a clip counts; unset: verb (EPIC), action (EGTEA), the one "
           "that counted when a `manifest` was written. A manifest has all."},
      {.path = "dataset.subset",
       .words = {"all", "many_shot", "tail", "unseen"},
       .default_yaml = "all",
       .only_with = "epic55 epic100",
       .meaning = "A published part: many_shot classes (epic55), tail classes or unseen "
                  "participants (epic100)."},
      {.path = "dataset.media",
       .words = {"any", "video", "pictures"},
       .default_yaml = "any",
       .only_with = "folder " + published,
       .meaning = "What clips are read from; any: a video where there is one, else a folder of "
                  "pictures."},
      {.path = "dataset.picture_fps",
       .kinds = {kReal},
       .default_yaml = "null",
       .minimum = 0,
       .above_minimum = true,
       .maximum = 1000,
       .unit = "pictures a second",
       .only_with = "folder list " + published,
       .meaning = "Rate at which folders of pictures were taken from the videos; unset: the "
                  "publisher's, else 25."},
      {.path = "dataset.file",
       .kinds = {kText},
       .default_yaml = "null",
       .only_with = "list manifest",
       .meaning =
           "`list`: lines or CSV of path, label, and optionally start and end in seconds, or "
           "kenshohara's JSON; `manifest`: what `cfp index` wrote."},
      {.path = "dataset.class_names",
       .kinds = {kText},
       .default_yaml = "null",
       .only_with = "folder list kinetics400 kinetics600 kinetics700 ucf101 hmdb51",
       .meaning = "File of class names in the order of the labels, one a line; unset: the data "
                  "set's own names. A `list` of numbers has none of its own. UCF-101 and HMDB-51 "
                  "take it with a `.json` annotation alone."},
      {.path = "dataset.label_base",
       .kinds = {kInteger},
       .default_yaml = "0",
       .minimum = 0,
       .maximum = 1,
       .only_with = "list",
       .meaning = "Number of the first class in the list."},
      {.path = "dataset.classes",
       .list_of = {kText},
       .list_max = 100'000,
       .default_yaml = "[]",
       .meaning = "Only clips of these classes; empty: of all."},
      {.path = "dataset.max_per_class",
       .kinds = {kInteger},
       .default_yaml = "null",
       .minimum = 1,
       .unit = "clips",
       .meaning = "At most so many clips of each class, the first ones; unset: all."},
      {.path = "dataset.max_clips",
       .kinds = {kInteger},
       .default_yaml = "null",
       .minimum = 1,
       .maximum = 1'000'000'000,
       .unit = "clips",
       .meaning = "At most so many clips, the first ones; unset: all."},
      {.path = "dataset.order",
       .words = {"listed", "shuffled"},
       .default_yaml = "listed",
       .meaning = "Order of the clips; shuffled makes the first ones a fair sample."},
      {.path = "dataset.order_seed",
       .kinds = {kInteger},
       .default_yaml = "0",
       .minimum = 0,
       .meaning = "With order shuffled: which of all orders; the same on every machine."},
      {.path = "dataset.gaze_root",
       .kinds = {kText},
       .default_yaml = "null",
       .only_with = "egtea",
       .changes_results = false,
       .meaning = "Folder of gaze files, `<session>.txt`; their paths go into the manifest."},
      {.path = "dataset.boxes",
       .kinds = {kText},
       .default_yaml = "null",
       .changes_results = false,
       .meaning = "CSV of boxes; its path goes into the manifest."},
      {.path = "dataset.masks_root",
       .kinds = {kText},
       .default_yaml = "null",
       .changes_results = false,
       .meaning = "Folder with a folder of masks for each clip id; their paths go into the "
                  "manifest."},
      {.path = "dataset.count",
       .kinds = {kInteger},
       .default_yaml = "500",
       .minimum = 1,
       .maximum = 1'000'000,
       .unit = "clips",
       .only_with = "moving_shapes",
       .meaning = "Clips to generate; the ten classes take turns."},
      {.path = "dataset.frames",
       .kinds = {kInteger},
       .default_yaml = "16",
       .minimum = 16,
       .maximum = 256,
       .unit = "frames",
       .only_with = "moving_shapes",
       .meaning = "Length of a generated clip."},
      {.path = "dataset.size",
       .kinds = {kInteger},
       .default_yaml = "64",
       .minimum = 32,
       .maximum = 512,
       .unit = "pixels",
       .only_with = "moving_shapes",
       .meaning = "Width and height of a generated clip; even."},
      {.path = "dataset.seed",
       .kinds = {kInteger},
       .default_yaml = "0",
       .minimum = 0,
       .only_with = "moving_shapes",
       .meaning = "Seed of the generated clips."},
      {.path = "dataset.max_failures",
       .kinds = {kInteger, kReal},
       .default_yaml = "0.05",
       .minimum = 0,
       .changes_results = false,
       .meaning = "How many clips may fail: a share below 1 with a decimal point (`0.05`), or a "
                  "count (`3`); beyond it the run ends with exit code 3."},
  };
}

Keys sampling_keys() {
  return {
      {.path = "sampling.clip_len",
       .kinds = {kInteger},
       .default_yaml = "16",
       .minimum = 1,
       .maximum = 4096,
       .unit = "frames",
       .meaning = "Frames that the network sees at once."},
      {.path = "sampling.frame_interval",
       .kinds = {kInteger},
       .default_yaml = "1",
       .minimum = 1,
       .maximum = 4096,
       .unit = "frames",
       .meaning = "Distance between two frames of a clip; 1 takes every frame."},
      {.path = "sampling.num_clips",
       .kinds = {kInteger},
       .default_yaml = "1",
       .minimum = 1,
       .maximum = 1024,
       .unit = "clips",
       .meaning = "Clips taken from each video; 1 with policy `center`."},
      {.path = "sampling.crops",
       .kinds = {kInteger},
       .default_yaml = "1",
       .minimum = 1,
       .maximum = 3,
       .unit = "crops",
       .meaning = "1: the middle of each clip; 3: also both ends of its longer side, as views of "
                  "their own."},
      {.path = "sampling.policy",
       .words = {"center", "uniform", "dense"},
       .default_yaml = "center",
       .meaning = "Where the clips of a video start."},
      {.path = "sampling.out_of_bound",
       .words = {"loop", "repeat_last", "error"},
       .default_yaml = "loop",
       .meaning = "What stands in for frames beyond the end of a short video; `error` makes it a "
                  "failure."},
      {.path = "sampling.dense_range",
       .kinds = {kInteger},
       .default_yaml = "64",
       .minimum = 1,
       .maximum = 100'000,
       .unit = "frames",
       .meaning = "With policy `dense`: frames that a group of clips spans."},
      {.path = "sampling.dense_positions",
       .kinds = {kInteger},
       .default_yaml = "10",
       .minimum = 1,
       .maximum = 1024,
       .meaning = "With policy `dense`: groups of clips, evenly spread over the video."},
      {.path = "sampling.target_fps",
       .kinds = {kReal},
       .default_yaml = "null",
       .minimum = 0,
       .above_minimum = true,
       .maximum = 1000,
       .unit = "frames a second",
       .meaning = "Frame rate that videos are brought to before frames are counted; unset: their "
                  "own."},
  };
}

Keys preprocess_keys() {
  return {
      {.path = "preprocess.preset",
       .words = preprocess_preset_names(),
       .default_yaml = "null",
       .meaning = "How a family of public checkpoints was trained; unset: what the checkpoint "
                  "brings. Every key below that is set changes one step of it."},
      {.path = "preprocess.resize_mode",
       .words = {"none", "short_side", "exact"},
       .default_yaml = "null",
       .meaning = "`short_side` keeps the aspect, `exact` brings both sides to `resize`."},
      {.path = "preprocess.resize",
       .kinds = {kInteger},
       .default_yaml = "null",
       .minimum = 8,
       .maximum = 4096,
       .unit = "pixels",
       .meaning = "Size that frames are brought to."},
      {.path = "preprocess.interpolation",
       .words = {"bilinear_antialias", "bilinear"},
       .default_yaml = "null",
       .meaning = "As Pillow resizes (`bilinear_antialias`), or as OpenCV does (`bilinear`)."},
      {.path = "preprocess.crop",
       .kinds = {kInteger},
       .default_yaml = "null",
       .minimum = 0,
       .maximum = 4096,
       .unit = "pixels",
       .meaning = "Side of the square cut from the centre; 0: no crop."},
      {.path = "preprocess.value_range",
       .list_of = {kReal},
       .list_min = 2,
       .list_max = 2,
       .default_yaml = "null",
       .minimum = -1000,
       .maximum = 1000,
       .meaning = "What the values 0 and 255 become before mean and std."},
      {.path = "preprocess.mean",
       .list_of = {kReal},
       .list_min = 3,
       .list_max = 3,
       .default_yaml = "null",
       .minimum = -1000,
       .maximum = 1000,
       .meaning = "Subtracted from R, G and B, in units of `value_range`."},
      {.path = "preprocess.std",
       .list_of = {kReal},
       .list_min = 3,
       .list_max = 3,
       .default_yaml = "null",
       .minimum = 0,
       .above_minimum = true,
       .maximum = 1000,
       .meaning = "Divides R, G and B after the mean, in units of `value_range`."},
  };
}

}  // namespace

const std::vector<SectionSpec>& config_sections() {
  static const std::vector<SectionSpec> sections = {
      {"", "Keys at the top level."},
      {"dataset", "Which clips are explained."},
      {"sampling", "Which frames of a video make a clip."},
      {"preprocess", "How frames become what the network was trained on."},
      {"network", "The network that is explained."},
      {"explain", "What is asked of an explanation."},
      {"runtime", "What the machine does at once."},
      {"output", "What is kept, and where."},
  };
  return sections;
}

const std::vector<KeySpec>& config_schema() {
  static const std::vector<KeySpec> schema = [] {
    Keys all;
    for (Keys keys : {general_keys(), dataset_keys(), sampling_keys(), preprocess_keys(),
                      network_keys(), explain_keys(), runtime_keys(), output_keys()}) {
      std::ranges::move(keys, std::back_inserter(all));
    }
    return all;
  }();
  return schema;
}

}  // namespace cfp
