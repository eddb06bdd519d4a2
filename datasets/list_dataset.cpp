#include "datasets/list_dataset.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>
#include <unordered_map>
#include <unordered_set>

#include <fmt/format.h>

#include "datasets/class_names.h"
#include "datasets/csv.h"
#include "datasets/database_json.h"
#include "datasets/list_file.h"
#include "datasets/media_files.h"
#include "datasets/media_index.h"
#include "stages/core/errors.h"

namespace cfp {
namespace fs = std::filesystem;
namespace {

bool has_label(const ListEntry& entry) { return !entry.label.empty() && entry.label != "-1"; }

int label_from_number(const ClipList& list, const ListEntry& entry, int base,
                      std::size_t class_count) {
  const std::int64_t number = parse_integer(entry.label).value_or(-1);
  const std::int64_t classes =
      class_count > 0 ? static_cast<std::int64_t>(class_count) : std::int64_t{kMaxLabel} + 1;
  if (number < base || number - base >= classes) {
    list.fail(entry, fmt::format("label is {}; {} to {} are allowed, -1 for none", entry.label,
                                 base, base + classes - 1));
  }
  return static_cast<int>(number - base);
}

/// The classes of a list that names them: those of the file `class_names`, else the names met.
std::vector<std::string> classes_of(const ClipList& list,
                                    const std::vector<std::string>& from_file) {
  if (!from_file.empty()) return from_file;
  const ListEntry* number = nullptr;
  std::set<std::string> names;
  for (const ListEntry& entry : list.entries) {
    if (!has_label(entry)) continue;
    if (number == nullptr && parse_integer(entry.label)) number = &entry;
    names.insert(entry.label);
  }
  if (number != nullptr) {
    list.fail(*number, fmt::format("label is the number {}, but other lines name their class",
                                   number->label));
  }
  return {names.begin(), names.end()};
}

/// Sets the rows' labels and the manifest's class names.
void resolve_labels(const ClipList& list, const DatasetOptions& options, Manifest& manifest) {
  if (!options.class_names.empty()) manifest.class_names = read_class_list(options.class_names);
  const bool numbers = std::ranges::all_of(list.entries, [](const ListEntry& entry) {
    return !has_label(entry) || parse_integer(entry.label).has_value();
  });
  if (!numbers) manifest.class_names = classes_of(list, manifest.class_names);
  const ClassIndex index(manifest.class_names,
                         options.class_names.empty() ? list.file : options.class_names);
  for (std::size_t i = 0; i < list.entries.size(); ++i) {
    const ListEntry& entry = list.entries[i];
    if (!has_label(entry)) continue;
    if (numbers) {
      manifest.rows[i].label =
          label_from_number(list, entry, options.label_base, manifest.class_names.size());
      continue;
    }
    manifest.rows[i].label = index.find(entry.label);
    if (!manifest.rows[i].label) {
      list.fail(entry, fmt::format("'{}' is no class of {}{}", entry.label, options.class_names,
                                   index.suggestion(entry.label)));
    }
  }
}

std::string default_clip_id(const ListEntry& entry) {
  if (!entry.start_s && !entry.end_s) return entry.path;
  return fmt::format("{}@{}-{}", entry.path, entry.start_s.value_or(0),
                     entry.end_s ? fmt::format("{}", *entry.end_s) : "end");
}

/// Gives every row its clip id. @return how many rows repeat another one
std::int64_t number_clip_ids(const ClipList& list, Manifest& manifest) {
  std::unordered_set<std::string> taken;
  for (const ListEntry& entry : list.entries) {
    if (!entry.clip_id.empty() && !taken.insert(entry.clip_id).second) {
      list.fail(entry, fmt::format("clip_id '{}' stands on another line, too", entry.clip_id));
    }
  }
  std::int64_t repeated = 0;
  std::unordered_map<std::string, int> times_met;
  for (std::size_t i = 0; i < list.entries.size(); ++i) {
    const ListEntry& entry = list.entries[i];
    std::string& id = manifest.rows[i].clip_id;
    id = entry.clip_id;
    if (!id.empty()) continue;
    const std::string stem = default_clip_id(entry);
    int& times = ++times_met[stem];
    if (times > 1) ++repeated;
    id = times == 1 ? stem : fmt::format("{} #{}", stem, times);
    while (!taken.insert(id).second) id = fmt::format("{} #{}", stem, ++times);
  }
  return repeated;
}

/// Whether pictures of these names are in a folder, from the first to the last of so many. That
/// takes three looks, where listing the folder would take one at each of its names.
bool has_pictures(const fs::path& folder, const PictureSequence& pictures, std::int64_t count) {
  const auto exists = [&](std::int64_t number) {
    std::error_code ignored;
    return fs::exists(folder / picture_file_name(pictures, number), ignored);
  };
  const std::int64_t first = pictures.first_number;
  return exists(first) && exists(first + count - 1) && (first == 0 || !exists(first - 1));
}

/// Says which pictures of its folder are the clip: so many as the list says, or those of its times.
void cut_pictures(const ListEntry& entry, ManifestRow& row) {
  PictureSequence& pictures = *row.media.pictures;
  row.media.start_s.reset();
  row.media.end_s.reset();
  if (!entry.pictures) {
    cut_by_time(entry.start_s, entry.end_s, pictures);
    return;
  }
  const std::int64_t last =
      std::min(pictures.first_number + *entry.pictures - 1, kMaxPictureNumber);
  pictures.start_number = pictures.first_number;
  pictures.stop_number = last + 1;
  std::error_code ignored;
  const fs::path folder = row.media.path;
  if (!fs::is_directory(folder, ignored)) return;  // as opening it will say
  if (const std::string name = picture_file_name(pictures, last);
      !fs::exists(folder / name, ignored)) {
    row.problem = {FailureReason::kTooShort,
                   fmt::format("{}: the list says {} pictures, but there is no {}", row.media.path,
                               *entry.pictures, name)};
  }
}

/// Finds how pictures are called, folder by folder.
class PictureNames {
 public:
  explicit PictureNames(const DatasetOptions& options) {
    if (options.picture_fps) usual_.fps = *options.picture_fps;
    last_ = usual_;
  }

  /// @return the names in the folder of an entry; absent where it is no folder of pictures, and the
  ///         list does not say that it is one
  std::optional<PictureSequence> of(const ListEntry& entry, const fs::path& folder) {
    // What ends like a video is one, or pieces of one.
    if (!entry.pictures && has_media_extension(entry.path)) return std::nullopt;
    if (entry.pictures && has_pictures(folder, last_, *entry.pictures)) return noted(last_);
    std::optional<PictureSequence> found = pictures_of(folder);
    if (!found) return entry.pictures ? std::optional(usual_) : std::nullopt;
    found->fps = usual_.fps;
    last_ = *found;
    return noted(last_);
  }

  /// The names that were found, a line each, the usual ones first.
  std::vector<std::string> notes() const {
    std::vector<std::pair<std::int64_t, std::string>> sorted;
    for (const auto& [names, count] : counts_) sorted.emplace_back(-count, names);
    std::ranges::sort(sorted);
    constexpr std::size_t kMostLines = 5;
    std::vector<std::string> lines;
    for (const auto& [count, names] : sorted) {
      if (lines.size() == kMostLines) break;
      lines.push_back(fmt::format("pictures    {} x {}", -count, names));
    }
    return lines;
  }

 private:
  PictureSequence noted(const PictureSequence& pictures) {
    ++counts_[picture_names_text(pictures)];
    return pictures;
  }

  /// As MMAction2 writes them: for folders that are not there.
  PictureSequence usual_{.prefix = "img_", .digits = 5, .suffix = ".jpg", .first_number = 1};
  PictureSequence last_;  ///< what was found last
  std::map<std::string, std::int64_t> counts_;
};

void place_media(const ClipList& list, const DatasetOptions& options, const fs::path& folder,
                 Manifest& manifest) {
  PictureNames names(options);
  for (const ListEntry& entry : list.entries) {
    ManifestRow& row = manifest.rows.emplace_back();
    row.row = static_cast<std::int64_t>(manifest.rows.size()) - 1;
    row.media.path = (folder / entry.path).string();
    row.media.start_s = entry.start_s;
    row.media.end_s = entry.end_s;
    row.media.pictures = names.of(entry, row.media.path);
    if (row.media.pictures) cut_pictures(entry, row);
  }
  manifest.notes = names.notes();
}

/// Whether the first rows are all not where the list has them: then it is the folders that differ.
bool lies_elsewhere(const Manifest& manifest) {
  constexpr std::size_t kRowsTried = 20;
  std::size_t tried = 0;
  for (const ManifestRow& row : manifest.rows) {
    std::error_code ignored;
    if (fs::exists(row.media.path, ignored)) return false;
    if (++tried == kRowsTried) break;
  }
  return true;
}

/// Finds the files by their stems, for copies with other folders or extensions than the list's.
void find_by_stem(const ClipList& list, const DatasetOptions& options, Manifest& manifest) {
  Annotation annotation{.source = list.file, .heads = {{"class", {}}}};
  for (std::size_t i = 0; i < list.entries.size(); ++i) {
    const std::string& path = list.entries[i].path;
    const std::string name = path.substr(path.rfind('/') + 1);
    annotation.clips.push_back(
        {.clip_id = manifest.rows[i].clip_id,
         .names = {{.stem = has_media_extension(name) ? name.substr(0, name.rfind('.')) : name,
                    .start_s = list.entries[i].start_s,
                    .end_s = list.entries[i].end_s}},
         .usual_path = path,
         .labels = {std::nullopt}});
  }
  const Manifest found = find_clips(annotation, options);
  for (std::size_t i = 0; i < found.rows.size(); ++i) {
    ManifestRow& row = manifest.rows[i];
    row.problem = found.rows[i].problem;
    if (row.problem && row.problem->reason == FailureReason::kMissing) continue;
    row.media = found.rows[i].media;
    if (list.entries[i].pictures && row.media.pictures && !row.problem) {
      cut_pictures(list.entries[i], row);
    }
  }
  manifest.notes.push_back("none of the first clips is where the list has it; found by name:");
  manifest.notes.insert(manifest.notes.end(), found.notes.begin(), found.notes.end());
}

}  // namespace

Manifest load_list_dataset(const DatasetOptions& options) {
  if (options.file.empty()) {
    throw ConfigError("a data set of type list needs file, the list of paths and labels");
  }
  if (options.label_base != 0 && options.label_base != 1) {
    throw ConfigError(fmt::format("label_base is {}; 0 and 1 are allowed", options.label_base));
  }
  if (fs::path(options.file).extension() == ".json") {
    return find_clips(
        read_database_json(options.file, options.split.empty() ? "val" : options.split,
                           options.class_names),
        options);
  }
  const ClipList list = read_list(options.file);
  const fs::path folder = options.data_root.empty() ? fs::path(options.file).parent_path()
                                                    : fs::path(options.data_root);
  Manifest manifest;
  place_media(list, options, folder, manifest);
  resolve_labels(list, options, manifest);
  const std::int64_t repeated = number_clip_ids(list, manifest);
  std::error_code ignored;
  if (!options.data_root.empty() && fs::is_directory(folder, ignored) && lies_elsewhere(manifest)) {
    find_by_stem(list, options, manifest);
  }
  manifest.provenance =
      fmt::format("list {} ({}): {} clips", options.file, list.form, manifest.rows.size());
  const auto unlabelled = std::ranges::count_if(
      manifest.rows, [](const ClipRequest& row) { return !row.label.has_value(); });
  if (unlabelled > 0) manifest.provenance += fmt::format(", {} without a label", unlabelled);
  if (repeated > 0) manifest.provenance += fmt::format(", {} named more than once", repeated);
  return manifest;
}

}  // namespace cfp
