#include "datasets/dataset.h"

#include <array>
#include <map>
#include <optional>
#include <set>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "datasets/class_names.h"
#include "datasets/csv.h"
#include "datasets/folder_dataset.h"
#include "datasets/list_dataset.h"
#include "datasets/moving_shapes_files.h"
#include "stages/core/errors.h"

namespace cfp {
namespace {

using Load = Manifest (*)(const DatasetOptions&);

Manifest load_moving_shapes(const DatasetOptions& options) {
  if (options.data_root.empty()) {
    throw ConfigError("a data set of type moving_shapes needs data_root, the folder for its clips");
  }
  return moving_shapes_manifest(options.moving_shapes, options.data_root);
}

/// Makes the clips of the rows that are left.
void make_clips(const DatasetOptions& options, Manifest& manifest) {
  std::vector<std::int64_t> indices;
  for (const ClipRequest& row : manifest.rows) {
    indices.push_back(moving_shapes_index(options.moving_shapes, row.clip_id));
  }
  const std::int64_t made =
      make_moving_shapes_files(options.moving_shapes, options.data_root, indices);
  if (made > 0) manifest.provenance += fmt::format(", {} clips made now", made);
}

const std::map<std::string, Load, std::less<>>& loaders() {
  static const std::map<std::string, Load, std::less<>> all{{"folder", load_folder_dataset},
                                                            {"list", load_list_dataset},
                                                            {"moving_shapes", load_moving_shapes}};
  return all;
}

/// The labels that select.classes names.
std::set<int> selected_labels(const Manifest& manifest, const DatasetSelect& select) {
  const ClassIndex index(manifest.class_names, "classes of the data set");
  std::set<int> labels;
  for (const std::string& name : select.classes) {
    auto label = index.find(name);
    if (!label && manifest.class_names.empty()) {
      const auto number = parse_integer(name);
      if (number && *number >= 0 && *number <= kMaxLabel) label = static_cast<int>(*number);
    }
    if (!label) {
      throw ConfigError(fmt::format(
          "dataset.classes: '{}' is no class of the data set{}; it has {}", name,
          index.suggestion(name),
          manifest.class_names.empty() ? std::string("numbers without names")
                                       : fmt::format("{} classes", manifest.class_names.size())));
    }
    labels.insert(*label);
  }
  return labels;
}

}  // namespace

std::vector<std::string> dataset_types() {
  std::vector<std::string> types;
  for (const auto& [type, load] : loaders()) types.push_back(type);
  return types;
}

Manifest load_dataset(const DatasetOptions& options) {
  const auto loader = loaders().find(options.type);
  if (loader == loaders().end()) {
    throw ConfigError(fmt::format("no type of data set is called '{}'; there are: {}", options.type,
                                  fmt::join(dataset_types(), ", ")));
  }
  Manifest manifest = select_rows(loader->second(options), options.select);
  if (options.type == "moving_shapes") make_clips(options, manifest);
  check_manifest(manifest);
  return manifest;
}

Manifest select_rows(Manifest manifest, const DatasetSelect& select) {
  if (select.max_per_class < 0) {
    throw ConfigError(fmt::format("select.max_per_class is {}; 0 (all) or more is allowed",
                                  select.max_per_class));
  }
  const bool all_classes = select.classes.empty();
  const std::set<int> labels = selected_labels(manifest, select);
  const std::size_t rows_before = manifest.rows.size();
  std::map<std::optional<int>, int> taken;
  std::erase_if(manifest.rows, [&](const ClipRequest& row) {
    if (!all_classes && !(row.label && labels.contains(*row.label))) return true;
    return select.max_per_class > 0 && ++taken[row.label] > select.max_per_class;
  });
  if (manifest.rows.empty()) {
    throw ConfigError(fmt::format("select: none of the {} clips is of the classes {}", rows_before,
                                  fmt::join(select.classes, ", ")));
  }
  for (std::size_t i = 0; i < manifest.rows.size(); ++i) {
    manifest.rows[i].row = static_cast<std::int64_t>(i);
  }
  if (manifest.rows.size() < rows_before) {
    manifest.provenance += fmt::format("; {} of them selected", manifest.rows.size());
  }
  return manifest;
}

}  // namespace cfp
