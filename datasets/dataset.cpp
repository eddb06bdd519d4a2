#include "datasets/dataset.h"

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <set>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "datasets/class_names.h"
#include "datasets/csv.h"
#include "datasets/egtea.h"
#include "datasets/epic100.h"
#include "datasets/epic55.h"
#include "datasets/folder_dataset.h"
#include "datasets/hmdb51.h"
#include "datasets/kinetics.h"
#include "datasets/list_dataset.h"
#include "datasets/media_index.h"
#include "datasets/moving_shapes_files.h"
#include "datasets/ucf101.h"
#include "stages/core/errors.h"
#include "stages/core/formula.h"

namespace cfp {
namespace {

using Load = Manifest (*)(const DatasetOptions&);

Manifest load_moving_shapes(const DatasetOptions& options) {
  if (options.data_root.empty()) {
    throw ConfigError("a data set of type moving_shapes needs data_root, the folder for its clips");
  }
  return moving_shapes_manifest(options.moving_shapes, options.data_root);
}

/// Makes a head the one in use.
void use_head(const std::string& name, Manifest& manifest) {
  const auto head = std::ranges::find(manifest.heads, name, &LabelHead::name);
  if (head == manifest.heads.end()) {
    std::vector<std::string> names;
    for (const LabelHead& other : manifest.heads) names.push_back(other.name);
    throw ConfigError(fmt::format("dataset.head is '{}'; the manifest has {}", name,
                                  names.empty()
                                      ? "one label a clip, and no column of another head"
                                      : fmt::format("the heads {}", fmt::join(names, ", "))));
  }
  const auto index = static_cast<std::size_t>(head - manifest.heads.begin());
  for (ManifestRow& row : manifest.rows) row.label = row.labels[index];
  manifest.class_names = head->class_names;
}

/// What `cfp index` wrote.
Manifest load_manifest(const DatasetOptions& options) {
  if (options.file.empty()) {
    throw ConfigError("a data set of type manifest needs file, what `cfp index` wrote");
  }
  Manifest manifest = read_manifest(options.file);
  if (!options.head.empty()) use_head(options.head, manifest);
  return manifest;
}

/// The gaze file of a clip: called like it, or like what its name begins with (the session).
std::string gaze_file(const std::string& root, std::string name) {
  while (true) {
    std::error_code ignored;
    const std::filesystem::path path = std::filesystem::path(root) / (name + ".txt");
    if (std::filesystem::is_regular_file(path, ignored)) return path.string();
    const std::size_t dash = name.rfind('-');
    if (dash == std::string::npos) return {};
    name.resize(dash);
  }
}

void require(bool is_there, std::string_view key, const std::string& path, const char* what) {
  if (!is_there) throw ConfigError(fmt::format("dataset.{}: {}: no such {}", key, path, what));
}

/// A folder or file that is given must be there: without it all clips would have nothing, silently.
void require_references(const DatasetOptions& options) {
  std::error_code ignored;
  for (const auto& [key, path] :
       {std::pair("gaze_root", &options.gaze_root), std::pair("masks_root", &options.masks_root)}) {
    require(path->empty() || std::filesystem::is_directory(*path, ignored), key, *path, "folder");
  }
  require(options.boxes.empty() || std::filesystem::is_regular_file(options.boxes, ignored),
          "boxes", options.boxes, "file");
}

/// The folder of a clip's masks; empty where it has none.
std::string mask_folder(const std::string& root, const std::string& clip_id) {
  std::error_code ignored;
  const std::filesystem::path folder = std::filesystem::path(root) / clip_id;
  return std::filesystem::is_directory(folder, ignored) ? folder.string() : std::string();
}

/// Notes which files about its clips a data set has. What is not given stays what a manifest says.
void attach_references(const DatasetOptions& options, Manifest& manifest) {
  if (options.gaze_root.empty() && options.boxes.empty() && options.masks_root.empty()) return;
  require_references(options);
  std::int64_t gaze = 0, boxes = 0, masks = 0;
  for (ManifestRow& row : manifest.rows) {
    ClipReferences& references = row.references;
    if (!options.gaze_root.empty()) references.gaze = gaze_file(options.gaze_root, row.clip_id);
    if (!options.boxes.empty()) references.boxes = options.boxes;
    if (!options.masks_root.empty()) {
      references.masks = mask_folder(options.masks_root, row.clip_id);
    }
    gaze += references.gaze.empty() ? 0 : 1;
    boxes += references.boxes.empty() ? 0 : 1;
    masks += references.masks.empty() ? 0 : 1;
  }
  manifest.notes.push_back(
      fmt::format("references  gaze of {} clips, masks of {}, boxes of {}", gaze, masks, boxes));
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

/// From the publisher's annotation to rows with media.
template <Annotation (*read)(const DatasetOptions&)>
Manifest load(const DatasetOptions& options) {
  return find_clips(read(options), options);
}

template <int classes>
Annotation read_kinetics_of(const DatasetOptions& options) {
  return read_kinetics(options, classes);
}

const std::map<std::string, Load, std::less<>>& loaders() {
  static const std::map<std::string, Load, std::less<>> all{
      {"egtea", load<read_egtea>},
      {"epic100", load<read_epic100>},
      {"epic55", load<read_epic55>},
      {"folder", load_folder_dataset},
      {"hmdb51", load<read_hmdb51>},
      {"kinetics400", load<read_kinetics_of<400>>},
      {"kinetics600", load<read_kinetics_of<600>>},
      {"kinetics700", load<read_kinetics_of<700>>},
      {"list", load_list_dataset},
      {"manifest", load_manifest},
      {"moving_shapes", load_moving_shapes},
      {"ucf101", load<read_ucf101>}};
  return all;
}

/// Whether a type names the data set that its clips are of. A manifest says so itself.
bool is_of_one_data_set(std::string_view type) {
  return type != "folder" && type != "list" && type != "manifest";
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

/// Orders rows by a hash of seed and clip: the same on every machine, and rows that come or go
/// leave the order of the others as it is.
void shuffle(std::vector<ManifestRow>& rows, std::uint64_t seed) {
  std::vector<std::pair<std::uint64_t, std::size_t>> order;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    order.emplace_back(FormulaStream(seed, rows[i].clip_id).bits(0), i);
  }
  std::ranges::sort(order);
  std::vector<ManifestRow> shuffled;
  shuffled.reserve(rows.size());
  for (const auto& [hash, i] : order) shuffled.push_back(std::move(rows[i]));
  rows = std::move(shuffled);
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
  Manifest found = loader->second(options);
  if (is_of_one_data_set(options.type)) found.dataset = options.type;
  Manifest manifest = select_rows(std::move(found), options.select);
  if (options.type == "moving_shapes") make_clips(options, manifest);
  attach_references(options, manifest);
  check_manifest(manifest);
  return manifest;
}

Manifest select_rows(Manifest manifest, const DatasetSelect& select) {
  if (select.max_per_class < 0 || select.max_clips < 0) {
    throw ConfigError(
        fmt::format("select.max_per_class is {}, select.max_clips {}; 0 (all) or more is allowed",
                    select.max_per_class, select.max_clips));
  }
  const bool all_classes = select.classes.empty();
  const std::set<int> labels = selected_labels(manifest, select);
  const std::size_t rows_before = manifest.rows.size();
  if (select.shuffled) shuffle(manifest.rows, select.seed);
  std::map<std::optional<int>, int> taken_of_class;
  std::int64_t taken = 0;
  std::erase_if(manifest.rows, [&](const ClipRequest& row) {
    if (!all_classes && !(row.label && labels.contains(*row.label))) return true;
    if (select.max_clips > 0 && taken == select.max_clips) return true;
    if (select.max_per_class > 0 && ++taken_of_class[row.label] > select.max_per_class) return true;
    ++taken;
    return false;
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
  if (select.shuffled) manifest.provenance += fmt::format("; shuffled by seed {}", select.seed);
  return manifest;
}

}  // namespace cfp
