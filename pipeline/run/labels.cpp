#include "pipeline/run/labels.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <set>

#include <fmt/format.h>

#include "datasets/class_names.h"
#include "stages/core/errors.h"

namespace cfp {
namespace {

LabelJoin join_by_name(const Manifest& manifest, const std::vector<std::string>& network_names) {
  std::set<int> used;
  for (const ClipRequest& row : manifest.rows) {
    if (row.label) used.insert(*row.label);
  }
  std::vector<std::string> wanted;
  for (const int label : used) {
    wanted.push_back(manifest.class_names.at(static_cast<std::size_t>(label)));
  }
  const std::vector<int> found =
      join_class_names(wanted, network_names, "classes of the data set, among the network's");
  std::map<int, int> output_from_label;
  std::size_t next = 0;
  for (const int label : used) output_from_label[label] = found[next++];

  LabelJoin join{.rows = {manifest.rows.begin(), manifest.rows.end()},
                 .class_names = network_names,
                 .how = fmt::format("{} classes joined by name", used.size())};
  for (ClipRequest& row : join.rows) {
    if (row.label) row.label = output_from_label.at(*row.label);
  }
  return join;
}

LabelJoin join_by_number(const Manifest& manifest, const std::vector<std::string>& network_names,
                         int num_classes) {
  for (const ClipRequest& row : manifest.rows) {
    if (row.label && (*row.label < 0 || *row.label >= num_classes)) {
      throw ConfigError(fmt::format(
          "row {}, clip '{}': label {} is not among the network's classes 0..{}; labels are joined "
          "by number, because the {} has no class names",
          row.row, row.clip_id, *row.label, num_classes - 1,
          manifest.class_names.empty() ? "data set" : "network"));
    }
  }
  LabelJoin join{.rows = {manifest.rows.begin(), manifest.rows.end()},
                 .class_names = network_names};
  join.how = "classes joined by number";
  if (network_names.empty() &&
      manifest.class_names.size() == static_cast<std::size_t>(num_classes)) {
    join.class_names = manifest.class_names;
    join.how += "; the network has no class names, those of the data set are taken for them";
  }
  return join;
}

[[noreturn]] void refuse_unknown_order(const Manifest& manifest) {
  if (!manifest.class_names.empty()) {
    throw ConfigError(
        "network.class_names: the checkpoint does not say in which order its classes are; give a "
        "file of their names, or `dataset` where they are in the data set's own order");
  }
  throw ConfigError(
      "dataset.class_names: the labels of the data set are numbers, and nothing says that they "
      "count in the order of the network's outputs; give a file of the names in the order of the "
      "numbers, or state `network.class_names: dataset` where label n is output n");
}

}  // namespace

LabelJoin join_labels(const Manifest& manifest, const std::vector<std::string>& network_names,
                      int num_classes, bool is_order_settled) {
  const bool by_name = !manifest.class_names.empty() && !network_names.empty();
  const bool has_labels = std::ranges::any_of(
      manifest.rows, [](const ClipRequest& row) { return row.label.has_value(); });
  if (!by_name && has_labels && !is_order_settled) refuse_unknown_order(manifest);
  return by_name ? join_by_name(manifest, network_names)
                 : join_by_number(manifest, network_names, num_classes);
}

int find_target_class(const std::string& written, const std::vector<std::string>& class_names,
                      int num_classes) {
  const ClassIndex index(class_names, "the network's classes");
  if (const auto found = index.find(written)) return *found;
  int number = -1;
  const auto [end, error] =
      std::from_chars(written.data(), written.data() + written.size(), number);
  if (error == std::errc() && end == written.data() + written.size()) {
    if (number >= 0 && number < num_classes) return number;
    throw ConfigError(fmt::format("explain.target: class {} is not among the network's 0..{}",
                                  number, num_classes - 1));
  }
  throw ConfigError(fmt::format("explain.target: no class is called '{}'{}{}", written,
                                index.suggestion(written),
                                class_names.empty() ? "; the network has no class names" : ""));
}

}  // namespace cfp
