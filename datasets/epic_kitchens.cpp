#include "datasets/epic_kitchens.h"

#include <algorithm>
#include <cmath>
#include <map>

#include <fmt/format.h>

#include "datasets/class_names.h"
#include "stages/core/errors.h"

namespace cfp {
namespace {

constexpr std::int64_t kMaxPicture = 1'000'000'000;

/// The digits of a field as a number; nothing where there is anything else.
std::optional<int> two_digits(std::string_view text) {
  if (text.size() != 2 || text.find_first_not_of("0123456789") != std::string_view::npos) {
    return std::nullopt;
  }
  return (text[0] - '0') * 10 + (text[1] - '0');
}

/// A class id; absent where the field is empty.
std::optional<int> class_id(const CsvTable& table, std::string_view column, std::size_t classes) {
  const std::string& text = table.get(column);
  if (text.empty()) return std::nullopt;
  const auto id = parse_integer(text);
  if (!id || *id < 0 || *id >= static_cast<std::int64_t>(classes)) {
    table.fail(fmt::format("{} is '{}'; 0 to {} are allowed", column, text, classes - 1));
  }
  return static_cast<int>(*id);
}

std::int64_t picture_number(const CsvTable& table, std::string_view column) {
  const auto number = parse_integer(table.at(column));
  if (!number || *number < 0 || *number > kMaxPicture) {
    table.fail(fmt::format("{} is '{}'; a number from 0 to {} is needed", column, table.at(column),
                           kMaxPicture));
  }
  return *number;
}

/// See Note [EPIC's frame numbers]. A hundredth of a second times the rate is exact in integers.
std::int64_t picture_at(double seconds, double fps) {
  const double hundredths = std::round(seconds * 100);
  return std::max<std::int64_t>(1, static_cast<std::int64_t>(hundredths * fps / 100));
}

MediaName media_name(const CsvTable& table, const std::optional<double>& stated_fps) {
  const std::string& video = table.at("video_id");
  if (video.empty() || video.find('/') != std::string::npos) {
    table.fail(fmt::format("video_id is '{}'; a name without a slash is needed", video));
  }
  MediaName name{.stem = video,
                 .start_s = epic_seconds(table, "start_timestamp"),
                 .end_s = epic_seconds(table, "stop_timestamp"),
                 .start_picture = picture_number(table, "start_frame"),
                 .stop_picture = picture_number(table, "stop_frame"),
                 .picture_fps = epic_picture_fps(video)};
  if (*name.end_s <= *name.start_s) {
    table.fail(fmt::format("stop_timestamp, {}, is not after start_timestamp, {}",
                           table.at("stop_timestamp"), table.at("start_timestamp")));
  }
  if (stated_fps && *stated_fps != name.picture_fps) {
    name.picture_fps = *stated_fps;
    name.start_picture = picture_at(*name.start_s, *stated_fps);
    name.stop_picture = picture_at(*name.end_s, *stated_fps);
  }
  // The shortest published segments last half a second, so this only holds off nonsense.
  name.stop_picture = std::max(*name.stop_picture, *name.start_picture + 1);
  return name;
}

/// Adds the head of the pairs that occur, and every clip's label in it.
void add_actions(Annotation& annotation) {
  std::map<VerbNoun, int> label_of;
  for (const AnnotatedClip& clip : annotation.clips) {
    if (clip.labels[0] && clip.labels[1]) label_of[{*clip.labels[0], *clip.labels[1]}] = 0;
  }
  LabelHead actions{.name = "action"};
  for (auto& [pair, label] : label_of) {
    label = static_cast<int>(actions.class_names.size());
    actions.class_names.push_back(
        annotation.heads[0].class_names[static_cast<std::size_t>(pair.first)] + " " +
        annotation.heads[1].class_names[static_cast<std::size_t>(pair.second)]);
  }
  for (AnnotatedClip& clip : annotation.clips) {
    std::optional<int> label;
    if (clip.labels[0] && clip.labels[1]) label = label_of.at({*clip.labels[0], *clip.labels[1]});
    clip.labels.push_back(label);
  }
  annotation.heads.push_back(std::move(actions));
}

}  // namespace

double epic_seconds(const CsvTable& table, std::string_view column) {
  const std::string& text = table.at(column);
  const auto fail = [&] {
    table.fail(fmt::format("{} is '{}'; HH:MM:SS.cc is needed", column, text));
  };
  if (text.size() < 8 || text[2] != ':' || text[5] != ':') fail();
  const auto hours = two_digits(std::string_view(text).substr(0, 2));
  const auto minutes = two_digits(std::string_view(text).substr(3, 2));
  const auto whole = two_digits(std::string_view(text).substr(6, 2));
  if (!hours || !minutes || !whole || *minutes > 59 || *whole > 59) fail();
  // Seconds and their decimals are read as one number, whatever the count of digits.
  const std::string_view seconds = std::string_view(text).substr(6);
  const auto exact = parse_number(seconds);
  if (!exact || seconds.find_first_not_of("0123456789.") != std::string_view::npos) fail();
  return *hours * 3600 + *minutes * 60 + *exact;
}

double epic_picture_fps(std::string_view video_id) {
  const std::size_t underscore = video_id.find('_');
  const bool is_new = underscore != std::string_view::npos && video_id.size() - underscore - 1 == 3;
  return is_new ? 50 : 60;
}

std::set<int> read_epic_ids(const std::filesystem::path& path, const std::string& column) {
  CsvTable table(path);
  std::set<int> ids;
  while (table.next()) {
    const auto id = class_id(table, column, static_cast<std::size_t>(kMaxLabel) + 1);
    if (id) ids.insert(*id);
  }
  return ids;
}

Annotation read_epic_segments(const EpicTables& tables, const std::optional<double>& picture_fps) {
  CsvTable table(tables.segments);
  Annotation annotation{.heads = {{"verb", tables.verbs}, {"noun", tables.nouns}},
                        .group_word = "participant"};
  while (table.next()) {
    AnnotatedClip clip{.clip_id = table.at(tables.id_column)};
    if (clip.clip_id.empty()) table.fail(fmt::format("{} is empty", tables.id_column));
    clip.names = {media_name(table, picture_fps)};
    clip.labels = {class_id(table, "verb_class", tables.verbs.size()),
                   class_id(table, "noun_class", tables.nouns.size())};
    clip.group = table.at("participant_id");
    clip.usual_path =
        tables.usual_path(table.at("participant_id"), clip.names[0].stem, tables.split);
    annotation.clips.push_back(std::move(clip));
  }
  if (annotation.clips.empty()) {
    throw ConfigError(fmt::format("{}: names no segment", tables.segments.string()));
  }
  add_actions(annotation);
  return annotation;
}

void keep_clips(Annotation& annotation, const std::string& what,
                const std::function<bool(const AnnotatedClip&)>& keep) {
  const std::size_t before = annotation.clips.size();
  std::erase_if(annotation.clips, [&](const AnnotatedClip& clip) { return !keep(clip); });
  if (annotation.clips.empty()) {
    throw ConfigError(fmt::format("dataset.subset: none of the {} clips is {}", before, what));
  }
  annotation.source += fmt::format(", {}: {} of {}", what, annotation.clips.size(), before);
}

}  // namespace cfp
