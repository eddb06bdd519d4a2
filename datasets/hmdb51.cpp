#include "datasets/hmdb51.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "datasets/csv.h"
#include "datasets/database_json.h"
#include "stages/core/errors.h"

namespace cfp {
namespace fs = std::filesystem;
namespace {

constexpr double kUsualFps = 30;
constexpr std::size_t kClasses = 51;

/// The classes that have a file of this split, sorted by bytes.
std::vector<std::string> classes_in(const fs::path& folder, const std::string& ending) {
  std::vector<std::string> classes;
  std::error_code error;
  for (fs::directory_iterator entries(folder, error); !error && entries != fs::directory_iterator();
       entries.increment(error)) {
    const std::string name = entries->path().filename().string();
    if (name.starts_with('.')) continue;  // `._<name>`, which macOS leaves beside a copied file
    // Class names hold `_` themselves: the ending is cut off, the name not split.
    if (name.ends_with(ending) && name.size() > ending.size()) {
      classes.push_back(name.substr(0, name.size() - ending.size()));
    }
  }
  if (error) {
    throw ConfigError(
        fmt::format("{}: the folder cannot be read: {}", folder.string(), error.message()));
  }
  std::ranges::sort(classes);
  if (classes.size() != kClasses) {
    throw ConfigError(
        fmt::format("{}: {} files are called *{}; there must be one for each of the "
                    "{} classes",
                    folder.string(), classes.size(), ending, kClasses));
  }
  return classes;
}

std::string split_ending(int id) { return fmt::format("_test_split{}.txt", id); }

/// The folder of the split files: the one given, or its usual sub-folder.
fs::path splits_folder(const AnnotationFiles& files, const std::string& ending) {
  const std::string example = "brush_hair" + ending;
  return files
      .find_beside({example, "testTrainMulti_7030_splits/" + example, "annotations/" + example})
      .parent_path();
}

void read_class(const fs::path& path, const std::string& name, int label, const std::string& split,
                std::vector<AnnotatedClip>& clips) {
  LineReader lines(path);
  for (std::string line; lines.next(line);) {
    const std::string_view text = trim(line);
    if (text.empty()) continue;
    const std::size_t blank = text.rfind(' ');
    const std::string_view file = trim(text.substr(0, blank));
    const auto flag = blank == std::string_view::npos ? std::optional<std::int64_t>()
                                                      : parse_integer(text.substr(blank + 1));
    if (!flag || *flag < 0 || *flag > 2 || file.find('/') != std::string_view::npos) {
      lines.fail(fmt::format("'{}' is not a file name and 0, 1 or 2", text));
    }
    static constexpr std::array<std::string_view, 3> kSplitOfFlag{"unused", "train", "test"};
    if (split != "all" && kSplitOfFlag[static_cast<std::size_t>(*flag)] != split) continue;
    const std::string stem = fs::path(file).stem().string();
    clips.push_back({.clip_id = stem,
                     .names = {{.stem = stem, .picture_fps = kUsualFps}},
                     .usual_path = fmt::format("{}/{}", name, file),
                     .group = name,
                     .labels = {label}});
  }
}

}  // namespace

Annotation read_hmdb51(const DatasetOptions& options) {
  const AnnotationFiles files(options);
  const std::string split = choose("split", options.split, {"test", "train", "unused", "all"});
  const int id = checked_split_id(options.split_id);
  if (files.is_file_of(".json")) {
    return read_database_json(files.place(), split, options.class_names);
  }
  refuse_class_names(options, "those that the split files are called after, sorted");
  const std::string ending = split_ending(id);
  // One of the 51 files may stand for their folder.
  const std::string name = files.place().filename().string();
  const std::string of_class = name.substr(0, name.rfind("_test_split"));
  files.refuse_other_split(
      {of_class + split_ending(1), of_class + split_ending(2), of_class + split_ending(3)},
      of_class + ending);
  const fs::path folder = splits_folder(files, ending);
  Annotation annotation{
      .source = fmt::format("hmdb51 {} split {} ({})", split, id, folder.string()),
      .heads = {{"class", classes_in(folder, ending)}}};
  int label = 0;
  for (const std::string& name : annotation.heads[0].class_names) {
    read_class(folder / (name + ending), name, label++, split, annotation.clips);
  }
  if (annotation.clips.empty()) {
    throw ConfigError(fmt::format("{}: no clip is of split {}", folder.string(), split));
  }
  return annotation;
}

}  // namespace cfp
