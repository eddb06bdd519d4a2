#include "datasets/kinetics.h"

#include <algorithm>
#include <set>
#include <utility>

#include <fmt/format.h>

#include "datasets/class_names.h"
#include "datasets/csv.h"
#include "datasets/database_json.h"
#include "stages/core/errors.h"

namespace cfp {
namespace {

constexpr std::size_t kIdLength = 11;
constexpr double kLongestVideo_s = 999'999;  // six digits in a file's name

std::vector<std::string> splits() { return {"val", "train", "test"}; }

/// The YouTube id that a file's name begins with.
std::string id_of_stem(std::string_view stem) {
  return stem.size() < kIdLength ? std::string() : std::string(stem.substr(0, kIdLength));
}

/// A number behind a `_` at the beginning of a text, taken off with it.
std::optional<std::int64_t> take_number(std::string_view& text) {
  if (!text.starts_with('_')) return std::nullopt;
  const std::size_t end = std::min(text.find_first_not_of("0123456789", 1), text.size());
  const auto number = parse_integer(text.substr(1, end - 1));
  text.remove_prefix(end);
  return number;
}

/// The two times that a file's name may give behind the id, however they are filled up.
std::optional<std::pair<std::int64_t, std::int64_t>> times_of_stem(std::string_view stem) {
  if (stem.size() < kIdLength) return std::nullopt;
  std::string_view rest = stem.substr(kIdLength);
  const auto start = take_number(rest);
  const auto end = start ? take_number(rest) : std::nullopt;
  if (!end) return std::nullopt;
  return std::pair(*start, *end);
}

/// Whether a file of a clip's id may be the clip: it may not where its name gives other times, for
/// then it is another part of the same video.
bool has_no_other_times(std::string_view stem, std::string_view clip_stem) {
  const auto times = times_of_stem(stem), wanted = times_of_stem(clip_stem);
  return !times || !wanted || *times == *wanted;
}

void find_by_id(Annotation& annotation) {
  annotation.shorten = id_of_stem;
  annotation.fits = has_no_other_times;
  annotation.short_word = "id";
  annotation.ignores_case = false;  // ids differ in case alone
}

std::vector<std::string> file_names(const std::string& split, int classes) {
  std::vector<std::string> words{split};
  if (split == "val") words.insert(words.end(), {"validate", "validation"});
  std::vector<std::string> names;
  for (const std::string& word : words) {
    for (const char* form :
         {"{1}.csv", "annotations/{1}.csv", "kinetics-{0}_{1}.csv", "kinetics_{0}_{1}.csv",
          "kinetics{0}_{1}.csv", "k{0}_{1}.csv", "kinetics{0}/{1}.csv"}) {
      names.push_back(fmt::format(fmt::runtime(form), classes, word));
    }
  }
  return names;
}

/// `val`, whatever word a file uses for it.
std::string split_word(std::string_view written) {
  if (written == "validate" || written == "validation") return "val";
  return std::string(written);
}

int whole_seconds(const CsvTable& table, std::string_view column) {
  const std::string& text = table.at(column);
  const auto seconds = parse_number(trim(text));
  if (!seconds || *seconds < 0 || *seconds > kLongestVideo_s) {
    table.fail(fmt::format("{} is '{}'; a number of seconds from 0 to {} is needed", column, text,
                           kLongestVideo_s));
  }
  return static_cast<int>(*seconds);  // as MMAction2: 417.0 and 417 are the same file
}

/// A row as the file has it.
struct Row {
  std::string label;  ///< empty: none
  AnnotatedClip clip;
};

Row read_row(const CsvTable& table, const std::string& split) {
  const std::string& id = table.at("youtube_id");
  if (id.size() != kIdLength || id.find('/') != std::string::npos) {
    table.fail(fmt::format("youtube_id is '{}'; 11 characters without a slash are needed", id));
  }
  const int start_s = whole_seconds(table, "time_start");
  const int end_s = whole_seconds(table, "time_end");
  if (end_s <= start_s) {
    table.fail(fmt::format("time_end is {}; it must be after time_start, {}", end_s, start_s));
  }
  Row row{.label = std::string(trim(table.get("label")))};
  const std::string stem = fmt::format("{}_{:06}_{:06}", id, start_s, end_s);
  row.clip.clip_id = stem;
  row.clip.names = {{.stem = stem, .short_stem = id}};
  row.clip.group = row.label;
  row.clip.usual_path =
      fmt::format("{}/{}.mp4", row.label.empty() || split == "test" ? split : row.label, stem);
  return row;
}

/// The labels of another split's CSV, for files without any; none where there is no such CSV.
std::set<std::string> labels_beside(const AnnotationFiles& files, const std::string& split,
                                    int classes, std::string& source) {
  std::set<std::string> labels;
  for (const char* other : {"val", "train"}) {
    const auto path =
        split == other ? std::nullopt : files.find_if_there(file_names(other, classes));
    if (!path) continue;
    CsvTable table(*path);
    while (table.next()) labels.emplace(trim(table.get("label")));
    labels.erase("");
    if (labels.empty()) continue;
    source += fmt::format(", class names of {}", path->string());
    break;
  }
  return labels;
}

std::vector<std::string> class_names(const DatasetOptions& options, const AnnotationFiles& files,
                                     int classes, const std::vector<Row>& rows,
                                     std::string& source) {
  if (!options.class_names.empty()) return read_class_list(options.class_names);
  if (const auto map =
          files.find_if_there({"label_map.txt", fmt::format("label_map_k{}.txt", classes)})) {
    return read_class_list(*map);
  }
  std::set<std::string> met;
  for (const Row& row : rows) {
    if (!row.label.empty()) met.insert(row.label);
  }
  const std::string split = choose("split", options.split, splits());
  if (met.empty()) met = labels_beside(files, split, classes, source);
  if (met.empty()) {
    throw ConfigError(
        fmt::format("{}: has no labels, and beside it is no label_map.txt, val.csv or train.csv to "
                    "tell the names of the classes: give a file of them as dataset.class_names",
                    source));
  }
  return {met.begin(), met.end()};
}

/// Files of a split's name are of it, unless the rows themselves say of which they are.
void check_name(const AnnotationFiles& files, const std::string& split, int classes) {
  std::vector<std::string> others;
  for (const std::string& other : splits()) {
    if (other == split) continue;
    for (const std::string& name : file_names(other, classes)) {
      if (name.find('/') == std::string::npos) others.push_back(name);
    }
  }
  files.refuse_other_split(others, split + ".csv");
}

}  // namespace

Annotation read_kinetics(const DatasetOptions& options, int classes) {
  AnnotationFiles files(options);
  const std::string split = choose("split", options.split, splits());
  if (files.is_file_of(".json")) {
    Annotation annotation = read_database_json(files.place(), split, options.class_names);
    for (AnnotatedClip& clip : annotation.clips) {
      for (MediaName& name : clip.names) name.short_stem = id_of_stem(name.stem);
    }
    find_by_id(annotation);
    return annotation;
  }

  const auto path = files.find(file_names(split, classes));
  CsvTable table(path);
  if (!table.has("split")) check_name(files, split, classes);
  std::vector<Row> rows;
  std::vector<std::int64_t> lines;
  while (table.next()) {
    if (table.has("split") && split_word(table.at("split")) != split) continue;
    rows.push_back(read_row(table, split));
    lines.push_back(table.line_number());
  }
  if (rows.empty()) {
    throw ConfigError(fmt::format("{}: no row is of split {}", path.string(), split));
  }

  Annotation annotation{.source = fmt::format("kinetics{} {} ({})", classes, split, path.string())};
  annotation.heads = {{"class", class_names(options, files, classes, rows, annotation.source)}};
  find_by_id(annotation);
  const ClassIndex index(annotation.heads[0].class_names, path.string());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    Row& row = rows[i];
    std::optional<int> label;
    if (!row.label.empty()) {
      label = index.find(row.label);
      if (!label) {
        throw ConfigError(fmt::format("{}:{}: '{}' is no class of the data set{}", path.string(),
                                      lines[i], row.label, index.suggestion(row.label)));
      }
    }
    row.clip.labels = {label};
    annotation.clips.push_back(std::move(row.clip));
  }
  return annotation;
}

}  // namespace cfp
