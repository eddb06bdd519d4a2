#include "results/store/layout.h"

#include <algorithm>
#include <set>
#include <stdexcept>

#include <fmt/format.h>

namespace cfp::hdf5 {

std::vector<std::string> group_names(const std::vector<std::string>& names) {
  std::vector<std::string> groups;
  std::set<std::string> taken;
  for (const std::string& name : names) {
    std::string base = name;
    std::replace(base.begin(), base.end(), '/', '_');
    if (base.empty() || base == "." || base == "..") base += "_";
    std::string group = base;
    for (int i = 2; !taken.insert(group).second; ++i) group = fmt::format("{}_{}", base, i);
    groups.push_back(group);
  }
  return groups;
}

std::string_view name_of(RelevanceField field) {
  switch (field) {
    case RelevanceField::kPositive:
      return "positive";
    case RelevanceField::kNegative:
      return "negative";
    case RelevanceField::kScore:
      return "score";
    case RelevanceField::kFound:
      return "found";
    case RelevanceField::kReached:
      return "reached";
  }
  throw std::logic_error("RelevanceField out of range");
}

ColumnSpec relevance_spec(RelevanceField field, hsize_t targets, hsize_t channels,
                          std::string_view axis) {
  ColumnSpec spec{.name = std::string(name_of(field)),
                  .row_shape = {targets, channels},
                  .axes = fmt::format("clips, targets, {}", axis),
                  .unit = "unit of the target"};
  switch (field) {
    case RelevanceField::kPositive:
      spec.meaning = "P: sum over positions of max(g * x, 0)";
      break;
    case RelevanceField::kNegative:
      spec.meaning = "N: sum over positions of max(-g * x, 0)";
      break;
    case RelevanceField::kScore:
      spec.meaning = "S: what selection goes by";
      break;
    case RelevanceField::kFound:
      spec.meaning = "1: found, that is selected by S; 0: not";
      spec.unit = "boolean";
      break;
    case RelevanceField::kReached:
      spec.meaning = "1: found, and a chain of edges leads here from the class; 0: not";
      spec.unit = "boolean";
      break;
  }
  return spec;
}

}  // namespace cfp::hdf5
