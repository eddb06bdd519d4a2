#include "datasets/list_dataset.h"

#include <algorithm>
#include <filesystem>
#include <set>
#include <unordered_map>
#include <unordered_set>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "datasets/class_names.h"
#include "datasets/csv.h"
#include "datasets/database_json.h"
#include "datasets/media_files.h"
#include "datasets/media_index.h"
#include "stages/core/errors.h"

namespace cfp {
namespace fs = std::filesystem;
namespace {

/// One clip as the list has it.
struct Entry {
  std::int64_t line = 0;
  std::string clip_id;  ///< empty where the list gives none
  std::string path;
  std::optional<double> start_s, end_s;
  std::string label;                     ///< number or name; empty: none
  std::optional<std::int64_t> pictures;  ///< `path` is a folder of so many pictures
};

struct List {
  std::string file;
  std::vector<Entry> entries;
  std::string form;  ///< in words, for the provenance

  [[noreturn]] void fail(const Entry& entry, const std::string& why) const {
    throw ConfigError(fmt::format("{}:{}: {}", file, entry.line, why));
  }
};

/// The separator of a CSV header with a column `path`; 0 where the line is no such header.
char header_separator(std::string_view line) {
  for (const char separator : {',', ';', '\t'}) {
    for (std::size_t begin = 0; begin <= line.size();) {
      const std::size_t end = std::min(line.find(separator, begin), line.size());
      std::string_view column = trim(line.substr(begin, end - begin));
      if (column.size() > 2 && column.starts_with('"') && column.ends_with('"')) {
        column = column.substr(1, column.size() - 2);
      }
      if (column == "path") return separator;
      begin = end + 1;
    }
  }
  return 0;
}

/// What follows the first `count` words of a line.
std::string_view after_words(std::string_view line, int count) {
  for (int i = 0; i < count; ++i) {
    line = trim(line);
    line.remove_prefix(std::min(line.find_first_of(" \t"), line.size()));
  }
  return trim(line);
}

bool is_id_label_path(std::string_view line) {
  const auto words = words_of(line);
  return words.size() >= 3 && parse_integer(words[0]) && parse_integer(words[1]) &&
         has_media_extension(words.back());
}

Entry parse_id_label_path(const LineReader& lines, std::string_view line) {
  if (!is_id_label_path(line)) lines.fail("an id, a label and a media file's path are needed here");
  return {.line = lines.line_number(),
          .path = std::string(after_words(line, 2)),
          .label = std::string(words_of(line)[1])};
}

/// Position in `line` at which the label or the blank before it begins; its size: no label.
std::size_t label_begin(std::string_view line) {
  if (const std::size_t tab = line.rfind('\t'); tab != std::string_view::npos) return tab;
  const auto words = words_of(line);
  const auto last_media = std::ranges::find_if(words.rbegin(), words.rend(), has_media_extension);
  if (last_media != words.rend()) {
    return static_cast<std::size_t>(last_media->data() + last_media->size() - line.data());
  }
  return std::min(line.rfind(' '), line.size());
}

/// `class/clip 250 0`: a folder of 250 pictures, as MMAction2 lists them.
std::optional<Entry> parse_path_pictures_label(const LineReader& lines, std::string_view line) {
  const auto words = words_of(line);
  if (words.size() < 3) return std::nullopt;
  const std::string_view count = words[words.size() - 2];
  const auto pictures = parse_integer(count);
  if (!pictures || !parse_integer(words.back())) return std::nullopt;
  constexpr std::int64_t kMostPictures = 100'000'000;
  if (*pictures < 1 || *pictures > kMostPictures) {
    lines.fail(fmt::format("{} pictures; 1 to {} are allowed", count, kMostPictures));
  }
  const auto path_size = static_cast<std::size_t>(count.data() - line.data());
  return Entry{.line = lines.line_number(),
               .path = std::string(trim(line.substr(0, path_size))),
               .label = std::string(words.back()),
               .pictures = pictures};
}

Entry parse_path_label(const LineReader& lines, std::string_view line) {
  const std::size_t split = label_begin(line);
  Entry entry{.line = lines.line_number(),
              .path = std::string(trim(line.substr(0, split))),
              .label = std::string(trim(line.substr(split)))};
  if (has_media_extension(entry.path)) return entry;
  if (auto folder = parse_path_pictures_label(lines, line)) return *folder;
  // This would pass for a path of an unknown kind and make every clip "missing".
  if (const std::size_t comma = line.rfind(',');
      comma != std::string_view::npos && has_media_extension(line.substr(0, comma))) {
    lines.fail("looks like CSV without a header; the first line must be: path,label[,start,end]");
  }
  return entry;
}

std::optional<double> parse_seconds(const CsvTable& table, const std::string& column) {
  const std::string_view text = trim(table.get(column));
  if (text.empty()) return std::nullopt;
  const auto seconds = parse_number(text);
  if (!seconds || *seconds < 0) {
    table.fail(fmt::format("{} is '{}'; a number of seconds from 0 on is needed", column, text));
  }
  return seconds;
}

/// The first of the names that is a column; the first name where none is.
std::string column_among(const CsvTable& table, const std::vector<std::string>& names) {
  for (const std::string& name : names) {
    if (table.has(name)) return name;
  }
  return names.front();
}

void read_csv(List& list, char separator) {
  CsvTable table(list.file, separator);
  const std::string label = column_among(table, {"label", "class_name"});
  const std::string start = column_among(table, {"start", "start_s"});
  const std::string end = column_among(table, {"end", "end_s"});
  const std::set<std::string> used{"path", "clip_id", label, start, end};
  std::vector<std::string> unused;
  for (const std::string& column : table.columns()) {
    if (!used.contains(column)) unused.push_back(column);
  }
  while (table.next()) {
    Entry entry{.line = table.line_number(),
                .clip_id = table.get("clip_id"),
                .path = table.at("path"),
                .start_s = parse_seconds(table, start),
                .end_s = parse_seconds(table, end),
                .label = std::string(trim(table.get(label)))};
    if (entry.path.empty()) table.fail("path is empty");
    if (entry.end_s && *entry.end_s <= entry.start_s.value_or(0)) {
      table.fail(fmt::format("{} is {}; it must be after {}, {}", end, *entry.end_s, start,
                             entry.start_s.value_or(0)));
    }
    list.entries.push_back(std::move(entry));
  }
  list.form = "CSV";
  if (!unused.empty()) {
    list.form += fmt::format(", columns passed over: {}", fmt::join(unused, ", "));
  }
}

List read_list(const std::string& file) {
  List list{.file = file};
  LineReader lines(file);
  bool id_label_path = false;
  for (std::string line; lines.next(line);) {
    const std::string_view text = trim(line);
    if (text.empty()) continue;
    if (list.form.empty()) {
      if (const char separator = header_separator(text)) {
        read_csv(list, separator);
        break;
      }
      id_label_path = is_id_label_path(text);
      list.form = id_label_path ? "lines of id, label, path" : "lines of path, label";
    }
    if (line.starts_with('\t') && !id_label_path) {
      lines.fail(fmt::format("no path stands before the label '{}'", text));
    }
    list.entries.push_back(id_label_path ? parse_id_label_path(lines, text)
                                         : parse_path_label(lines, text));
  }
  if (list.entries.empty()) throw ConfigError(fmt::format("{}: names no clip", file));
  return list;
}

bool has_label(const Entry& entry) { return !entry.label.empty() && entry.label != "-1"; }

int label_from_number(const List& list, const Entry& entry, int base, std::size_t class_count) {
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
std::vector<std::string> classes_of(const List& list, const std::vector<std::string>& from_file) {
  if (!from_file.empty()) return from_file;
  const Entry* number = nullptr;
  std::set<std::string> names;
  for (const Entry& entry : list.entries) {
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
void resolve_labels(const List& list, const DatasetOptions& options, Manifest& manifest) {
  if (!options.class_names.empty()) manifest.class_names = read_class_list(options.class_names);
  const bool numbers = std::ranges::all_of(list.entries, [](const Entry& entry) {
    return !has_label(entry) || parse_integer(entry.label).has_value();
  });
  if (!numbers) manifest.class_names = classes_of(list, manifest.class_names);
  const ClassIndex index(manifest.class_names,
                         options.class_names.empty() ? list.file : options.class_names);
  for (std::size_t i = 0; i < list.entries.size(); ++i) {
    const Entry& entry = list.entries[i];
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

std::string default_clip_id(const Entry& entry) {
  if (!entry.start_s && !entry.end_s) return entry.path;
  return fmt::format("{}@{}-{}", entry.path, entry.start_s.value_or(0),
                     entry.end_s ? fmt::format("{}", *entry.end_s) : "end");
}

/// Gives every row its clip id. @return how many rows repeat another one
std::int64_t number_clip_ids(const List& list, Manifest& manifest) {
  std::unordered_set<std::string> taken;
  for (const Entry& entry : list.entries) {
    if (!entry.clip_id.empty() && !taken.insert(entry.clip_id).second) {
      list.fail(entry, fmt::format("clip_id '{}' stands on another line, too", entry.clip_id));
    }
  }
  std::int64_t repeated = 0;
  std::unordered_map<std::string, int> times_met;
  for (std::size_t i = 0; i < list.entries.size(); ++i) {
    const Entry& entry = list.entries[i];
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

/// How the pictures of a list's folders are called: as in the first of them that is there, else as
/// MMAction2 writes them.
PictureSequence picture_names(const List& list, const fs::path& folder) {
  for (const Entry& entry : list.entries) {
    std::error_code ignored;
    if (!entry.pictures || !fs::is_directory(folder / entry.path, ignored)) continue;
    const MediaTree tree = find_media(folder / entry.path);
    if (!tree.picture_folders.empty() && tree.picture_folders[0].path.empty()) {
      return tree.picture_folders[0].pictures;
    }
  }
  return {.prefix = "img_", .digits = 5, .suffix = ".jpg", .first_number = 1};
}

void place_media(const List& list, const DatasetOptions& options, const fs::path& folder,
                 Manifest& manifest) {
  const bool has_pictures = std::ranges::any_of(
      list.entries, [](const Entry& entry) { return entry.pictures.has_value(); });
  PictureSequence pictures;
  if (has_pictures) pictures = picture_names(list, folder);
  if (options.picture_fps) pictures.fps = *options.picture_fps;
  for (const Entry& entry : list.entries) {
    ManifestRow& row = manifest.rows.emplace_back();
    row.row = static_cast<std::int64_t>(manifest.rows.size()) - 1;
    row.media.path = (folder / entry.path).string();
    row.media.start_s = entry.start_s;
    row.media.end_s = entry.end_s;
    if (!entry.pictures) continue;
    row.media.pictures = pictures;
    row.media.pictures->start_number = pictures.first_number;
    row.media.pictures->stop_number = pictures.first_number + *entry.pictures;
  }
  if (has_pictures) {
    manifest.notes.push_back(fmt::format("pictures    {}%0{}d{} from {}, {} a second",
                                         pictures.prefix, pictures.digits, pictures.suffix,
                                         pictures.first_number, pictures.fps));
  }
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
void find_by_stem(const List& list, const DatasetOptions& options, Manifest& manifest) {
  Annotation annotation{.source = list.file, .heads = {{"class", {}}}};
  for (std::size_t i = 0; i < list.entries.size(); ++i) {
    const std::string& path = list.entries[i].path;
    const std::string name = path.substr(path.rfind('/') + 1);
    annotation.clips.push_back(
        {.clip_id = manifest.rows[i].clip_id,
         .names = {{.stem = has_media_extension(name) ? name.substr(0, name.rfind('.')) : name}},
         .usual_path = path,
         .labels = {std::nullopt}});
  }
  const Manifest found = find_clips(annotation, options);
  for (std::size_t i = 0; i < found.rows.size(); ++i) {
    ManifestRow& row = manifest.rows[i];
    row.problem = found.rows[i].problem;
    if (row.problem && row.problem->reason == FailureReason::kMissing) continue;
    row.media.path = found.rows[i].media.path;
    if (!row.media.pictures) row.media.pictures = found.rows[i].media.pictures;
    row.media.in_pieces = found.rows[i].media.in_pieces;
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
  const List list = read_list(options.file);
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
