#include "datasets/list_file.h"

#include <algorithm>
#include <set>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "datasets/csv.h"
#include "datasets/media_files.h"
#include "stages/core/errors.h"

namespace cfp {
namespace {

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

ListEntry parse_id_label_path(const LineReader& lines, std::string_view line) {
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
std::optional<ListEntry> parse_path_pictures_label(const LineReader& lines, std::string_view line) {
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
  return ListEntry{.line = lines.line_number(),
                   .path = std::string(trim(line.substr(0, path_size))),
                   .label = std::string(words.back()),
                   .pictures = pictures};
}

ListEntry parse_path_label(const LineReader& lines, std::string_view line) {
  const std::size_t split = label_begin(line);
  ListEntry entry{.line = lines.line_number(),
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

void read_csv(ClipList& list, char separator) {
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
    ListEntry entry{.line = table.line_number(),
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

}  // namespace

void ClipList::fail(const ListEntry& entry, const std::string& why) const {
  throw ConfigError(fmt::format("{}:{}: {}", file, entry.line, why));
}

ClipList read_list(const std::string& file) {
  ClipList list{.file = file};
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

}  // namespace cfp
