#include "datasets/annotation.h"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "stages/core/errors.h"

namespace cfp {
namespace fs = std::filesystem;

AnnotationFiles::AnnotationFiles(const DatasetOptions& options)
    : place_(options.annotations.empty() ? options.data_root : options.annotations) {
  if (place_.empty()) {
    throw ConfigError(
        "needs annotations, the publisher's annotation file or the folder of them (or data_root, "
        "where they lie in it)");
  }
  std::error_code error;
  const fs::file_status status = fs::status(place_, error);
  if (!fs::exists(status))
    throw ConfigError(fmt::format("{}: no such file or folder", place_.string()));
  is_file_ = !fs::is_directory(status);
  folders_ = {is_file_ ? place_.parent_path() : place_};
}

fs::path AnnotationFiles::find(const std::vector<std::string>& names) {
  if (is_file_) return place_;
  const fs::path main = find_beside(names);
  if (main.parent_path() != folders_.front()) folders_.insert(folders_.begin(), main.parent_path());
  return main;
}

void AnnotationFiles::refuse_other_split(const std::vector<std::string>& official,
                                         const std::string& wanted) const {
  const std::string name = place_.filename().string();
  if (!is_file_ || name == wanted) return;
  if (std::ranges::find(official, name) == official.end()) return;
  throw ConfigError(
      fmt::format("{}: this is the publisher's name for the file of another split; that of the "
                  "split asked for is {}",
                  place_.string(), wanted));
}

fs::path AnnotationFiles::find_beside(const std::vector<std::string>& names) const {
  if (const auto found = find_if_there(names)) return *found;
  std::vector<std::string> folders;
  for (const fs::path& folder : folders_) folders.push_back(folder.string());
  throw ConfigError(fmt::format("{}: holds none of the annotation files {}",
                                fmt::join(folders, ", "), fmt::join(names, ", ")));
}

std::optional<fs::path> AnnotationFiles::find_if_there(
    const std::vector<std::string>& names) const {
  for (const fs::path& folder : folders_) {
    for (const std::string& name : names) {
      std::error_code ignored;
      if (const fs::path path = folder / name; fs::is_regular_file(path, ignored)) return path;
    }
  }
  return std::nullopt;
}

bool AnnotationFiles::is_file_of(std::string_view extension) const {
  return is_file_ && place_.extension() == extension;
}

std::string choose(std::string_view key, const std::string& given,
                   const std::vector<std::string>& allowed) {
  if (given.empty()) return allowed.front();
  if (std::ranges::find(allowed, given) != allowed.end()) return given;
  throw ConfigError(fmt::format("dataset.{} is '{}'; this data set has: {}", key, given,
                                fmt::join(allowed, ", ")));
}

void refuse_class_names(const DatasetOptions& options, std::string_view used) {
  if (options.class_names.empty()) return;
  throw ConfigError(fmt::format(
      "dataset.class_names is {}, but the classes of these annotations are {}: it counts "
      "with a .json annotation alone",
      options.class_names, used));
}

int checked_split_id(int split_id) {
  if (split_id >= 1 && split_id <= 3) return split_id;
  throw ConfigError(
      fmt::format("dataset.split_id is {}; this data set has splits 1, 2 and 3", split_id));
}

}  // namespace cfp
