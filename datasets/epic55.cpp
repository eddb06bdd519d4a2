#include "datasets/epic55.h"

#include <fmt/format.h>

#include "datasets/class_names.h"
#include "datasets/epic_kitchens.h"
#include "stages/core/errors.h"

namespace cfp {
namespace {

std::string usual_path(std::string_view participant, std::string_view video,
                       const std::string& split) {
  return fmt::format("videos/{}/{}/{}.MP4", split == "train" ? "train" : "test", participant,
                     video);
}

void keep_many_shot(Annotation& annotation, const AnnotationFiles& files, const std::string& head) {
  if (head == "action") {
    CsvTable table(files.find_beside({"EPIC_many_shot_actions.csv"}));
    std::set<VerbNoun> pairs;
    while (table.next()) {
      const auto verb = parse_integer(table.at("verb_class"));
      const auto noun = parse_integer(table.at("noun_class"));
      if (!verb || !noun) table.fail("verb_class and noun_class must be numbers");
      pairs.emplace(static_cast<int>(*verb), static_cast<int>(*noun));
    }
    keep_clips(annotation, "many-shot actions", [&](const AnnotatedClip& clip) {
      return clip.labels[0] && clip.labels[1] && pairs.contains({*clip.labels[0], *clip.labels[1]});
    });
    return;
  }
  const std::size_t index = head == "verb" ? 0 : 1;
  const std::set<int> ids = read_epic_ids(
      files.find_beside({fmt::format("EPIC_many_shot_{}s.csv", head)}), head + "_class");
  keep_clips(annotation, fmt::format("many-shot {}s", head), [&](const AnnotatedClip& clip) {
    return clip.labels[index] && ids.contains(*clip.labels[index]);
  });
}

std::string list_name(const std::string& split) {
  return split == "train" ? "EPIC_train_action_labels.csv"
                          : fmt::format("EPIC_{}_timestamps.csv", split);
}

}  // namespace

Annotation read_epic55(const DatasetOptions& options) {
  AnnotationFiles files(options);
  const std::string split = choose("split", options.split, {"train", "test_s1", "test_s2"});
  const std::string head = choose("head", options.head, {"verb", "noun", "action"});
  const std::string subset = choose("subset", options.subset, {"all", "many_shot"});
  const std::string list = list_name(split);
  files.refuse_other_split({list_name("train"), list_name("test_s1"), list_name("test_s2")}, list);
  const EpicTables tables{.segments = files.find({list, "annotations/" + list}),
                          .id_column = "uid",
                          .verbs = read_class_list(files.find_beside(
                              {"EPIC_verb_classes.csv", "annotations/EPIC_verb_classes.csv"})),
                          .nouns = read_class_list(files.find_beside(
                              {"EPIC_noun_classes.csv", "annotations/EPIC_noun_classes.csv"})),
                          .usual_path = usual_path,
                          .split = split};
  Annotation annotation = read_epic_segments(tables, options.picture_fps);
  annotation.source = fmt::format("epic55 {} ({})", split, tables.segments.string());
  if (subset == "many_shot") keep_many_shot(annotation, files, head);
  return annotation;
}

}  // namespace cfp
