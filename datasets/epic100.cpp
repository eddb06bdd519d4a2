#include "datasets/epic100.h"

#include <fmt/format.h>

#include "datasets/class_names.h"
#include "datasets/epic_kitchens.h"
#include "stages/core/errors.h"

namespace cfp {
namespace {

std::string usual_path(std::string_view participant, std::string_view video, const std::string&) {
  return fmt::format("{}/videos/{}.MP4", participant, video);
}

void keep_tail(Annotation& annotation, const AnnotationFiles& files, const std::string& head) {
  std::set<int> verbs, nouns;
  if (head != "noun") verbs = read_epic_ids(files.find_beside({"EPIC_100_tail_verbs.csv"}), "verb");
  if (head != "verb") nouns = read_epic_ids(files.find_beside({"EPIC_100_tail_nouns.csv"}), "noun");
  keep_clips(annotation, fmt::format("tail {}s", head), [&](const AnnotatedClip& clip) {
    return (clip.labels[0] && verbs.contains(*clip.labels[0])) ||
           (clip.labels[1] && nouns.contains(*clip.labels[1]));
  });
}

void keep_unseen(Annotation& annotation, const AnnotationFiles& files, const std::string& split) {
  CsvTable table(files.find_beside({fmt::format("EPIC_100_unseen_participant_ids_{}.csv", split)}));
  std::set<std::string> participants;
  while (table.next()) participants.insert(table.at("participant_id"));
  keep_clips(annotation, "unseen participants",
             [&](const AnnotatedClip& clip) { return participants.contains(clip.group); });
}

std::string list_name(const std::string& split) {
  return split == "test" ? "EPIC_100_test_timestamps.csv" : fmt::format("EPIC_100_{}.csv", split);
}

}  // namespace

Annotation read_epic100(const DatasetOptions& options) {
  AnnotationFiles files(options);
  const std::string split = choose("split", options.split, {"validation", "train", "test"});
  const std::string head = choose("head", options.head, {"verb", "noun", "action"});
  const std::string subset = choose("subset", options.subset, {"all", "tail", "unseen"});
  const std::string list = list_name(split);
  files.refuse_other_split({list_name("train"), list_name("validation"), list_name("test")}, list);
  const EpicTables tables{
      .segments = files.find({list, "annotations/" + list}),
      .id_column = "narration_id",
      .verbs = read_class_list(files.find_beside(
          {"EPIC_100_verb_classes.csv", "annotations/EPIC_100_verb_classes.csv"})),
      .nouns = read_class_list(files.find_beside(
          {"EPIC_100_noun_classes.csv", "annotations/EPIC_100_noun_classes.csv"})),
      .usual_path = usual_path,
      .split = split};
  Annotation annotation = read_epic_segments(tables, options.picture_fps);
  annotation.source = fmt::format("epic100 {} ({})", split, tables.segments.string());
  if (subset == "tail") keep_tail(annotation, files, head);
  if (subset == "unseen") keep_unseen(annotation, files, split);
  return annotation;
}

}  // namespace cfp
