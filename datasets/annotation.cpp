#include "datasets/annotation.h"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "stages/core/errors.h"

namespace cfp {
namespace fs = std::filesystem;

AnnotationFiles::AnnotationFiles(const DatasetOptions& options)
    : place_(options.annotations.empty() ? options.data_root : options.annotations),
      folder_(place_) {
  if (place_.empty()) {
    throw ConfigError(
        "needs annotations, the publisher's annotation file or the folder of them (or data_root, "
        "where they lie in it)");
  }
  std::error_code error;
  const fs::file_status status = fs::status(place_, error);
  if (!fs::exists(status))
    throw ConfigError(fmt::format("{}: no such file or folder", place_.string()));
  if (!fs::is_directory(status)) {
    is_file_ = true;
    folder_ = place_.parent_path();
  }
}

fs::path AnnotationFiles::find(const std::vector<std::string>& names) const {
  return is_file_ ? place_ : find_beside(names);
}

fs::path AnnotationFiles::find_beside(const std::vector<std::string>& names) const {
  if (const auto found = find_if_there(names)) return *found;
  throw ConfigError(fmt::format("{}: holds none of the annotation files {}", folder_.string(),
                                fmt::join(names, ", ")));
}

std::optional<fs::path> AnnotationFiles::find_if_there(
    const std::vector<std::string>& names) const {
  for (const std::string& name : names) {
    std::error_code ignored;
    if (const fs::path path = folder_ / name; fs::is_regular_file(path, ignored)) return path;
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

int checked_split_id(int split_id) {
  if (split_id >= 1 && split_id <= 3) return split_id;
  throw ConfigError(
      fmt::format("dataset.split_id is {}; this data set has splits 1, 2 and 3", split_id));
}

}  // namespace cfp
