#include "datasets/ucf101.h"

#include <unordered_map>

#include <fmt/format.h>

#include "datasets/class_names.h"
#include "datasets/csv.h"
#include "datasets/database_json.h"
#include "stages/core/errors.h"

namespace cfp {
namespace fs = std::filesystem;
namespace {

constexpr double kUsualFps = 25;

/// `Class/v_file.avi`, and in lists for training the label behind it.
AnnotatedClip read_line(const LineReader& lines, std::string_view line,
                        const std::unordered_map<std::string, int>& label_of) {
  const std::size_t blank = line.find(' ');
  const std::string_view path = line.substr(0, blank);
  const std::size_t slash = path.find('/');
  if (slash == std::string_view::npos || slash == 0 || slash + 1 == path.size()) {
    lines.fail(fmt::format("'{}' is not Class/file", path));
  }
  const std::string folder(path.substr(0, slash));
  const auto label = label_of.find(folder);
  if (label == label_of.end()) lines.fail(fmt::format("classInd.txt has no class '{}'", folder));
  if (blank != std::string_view::npos) {
    const std::string_view written = trim(line.substr(blank));
    if (parse_integer(written) != label->second + 1) {
      lines.fail(fmt::format("the label of {} is '{}', in classInd.txt it is {}", folder, written,
                             label->second + 1));
    }
  }
  const std::string stem = fs::path(path.substr(slash + 1)).stem().string();
  return {.clip_id = stem,
          .names = {{.stem = stem, .picture_fps = kUsualFps}},
          .usual_path = std::string(path),
          .group = folder,
          .labels = {label->second}};
}

std::string list_name(const std::string& split, int id) {
  return fmt::format("{}list{:02}.txt", split, id);
}

}  // namespace

Annotation read_ucf101(const DatasetOptions& options) {
  AnnotationFiles files(options);
  const std::string split = choose("split", options.split, {"test", "train"});
  const int id = checked_split_id(options.split_id);
  if (files.is_file_of(".json")) {
    return read_database_json(files.place(), split, options.class_names);
  }
  refuse_class_names(options, "those of classInd.txt, in its order");
  const std::string list = list_name(split, id);
  std::vector<std::string> official;
  for (const char* part : {"test", "train"}) {
    for (int n = 1; n <= 3; ++n) official.push_back(list_name(part, n));
  }
  files.refuse_other_split(official, list);
  const std::string folder = "ucfTrainTestlist/";
  const fs::path path = files.find({list, folder + list});
  const fs::path classes = files.find_beside({"classInd.txt", folder + "classInd.txt"});

  Annotation annotation{.source = fmt::format("ucf101 {} split {} ({})", split, id, path.string()),
                        .heads = {{"class", read_class_list(classes)}}};
  std::unordered_map<std::string, int> label_of;
  for (const std::string& name : annotation.heads[0].class_names) {
    label_of.emplace(name, static_cast<int>(label_of.size()));
  }
  LineReader lines(path);
  for (std::string line; lines.next(line);) {
    const std::string_view text = trim(line);
    if (!text.empty()) annotation.clips.push_back(read_line(lines, text, label_of));
  }
  if (annotation.clips.empty()) throw ConfigError(fmt::format("{}: names no clip", path.string()));
  return annotation;
}

}  // namespace cfp
