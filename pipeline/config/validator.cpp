#include "pipeline/config/validator.h"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "pipeline/config/scalars.h"

namespace cfp {
namespace {

/// Longest value that an error message repeats in full.
constexpr std::size_t kLongestShown = 60;

std::string shown(const ConfigTree& value) {
  switch (value.kind) {
    case ConfigTree::Kind::kNull:
      return "nothing";
    case ConfigTree::Kind::kList:
      return fmt::format("a list of {}", value.items.size());
    case ConfigTree::Kind::kMap:
      return "keys below it";
    case ConfigTree::Kind::kScalar:
      break;
  }
  return value.scalar.size() <= kLongestShown
             ? fmt::format("'{}'", value.scalar)
             : fmt::format("'{}…'", value.scalar.substr(0, kLongestShown));
}

bool in_range(const KeySpec& key, double value) {
  if (key.minimum && (key.above_minimum ? value <= *key.minimum : value < *key.minimum)) {
    return false;
  }
  return !key.maximum || value <= *key.maximum;
}

/// @return whether a scalar is of one of the kinds, and within the key's range where it is a number
bool is_accepted_scalar(const KeySpec& key, const std::vector<ValueKind>& kinds,
                        const ConfigTree& value) {
  if (value.kind != ConfigTree::Kind::kScalar) return false;
  std::optional<double> number;
  if (!value.quoted) number = scalar_to_real(value.scalar);
  return std::ranges::any_of(kinds, [&](ValueKind kind) {
    switch (kind) {
      case ValueKind::kBoolean:
        return !value.quoted && scalar_to_boolean(value.scalar).has_value();
      case ValueKind::kInteger:
        return !value.quoted && scalar_to_integer(value.scalar) && number && in_range(key, *number);
      case ValueKind::kReal:
        return number && in_range(key, *number);
      // A number where a number is meant must be in range, even where text would do as well.
      case ValueKind::kText:
        return !value.scalar.empty() &&
               !(number && std::ranges::count(kinds, ValueKind::kInteger) > 0);
    }
    return false;
  });
}

std::vector<std::string> keys_of_section(std::string_view section) {
  std::vector<std::string> names;
  for (const KeySpec& key : config_schema()) {
    if (section_name(key.path) == section) names.emplace_back(leaf_name(key.path));
  }
  if (section.empty()) {
    for (const SectionSpec& spec : config_sections()) {
      if (!spec.name.empty()) names.push_back(spec.name);
    }
  }
  return names;
}

/// The same word in another section, or a word like it in this one.
std::string suggestion_for(std::string_view section, std::string_view word) {
  for (const KeySpec& key : config_schema()) {
    if (leaf_name(key.path) == word) return fmt::format(" (did you mean '{}'?)", key.path);
  }
  return did_you_mean(word, keys_of_section(section));
}

bool is_section(std::string_view name) {
  return !name.empty() && std::ranges::count(config_sections(), name, &SectionSpec::name) > 0;
}

void check_value(const KeySpec& key, const ConfigTree& value, const ConfigTree& dataset_type,
                 ConfigProblems& problems) {
  if (!value.is_null() && dataset_type.kind == ConfigTree::Kind::kScalar &&
      !key.belongs_to(dataset_type.scalar)) {
    problems.add(value.where, key.path,
                 fmt::format("a data set of type '{}' has no such key; it belongs to: {}",
                             dataset_type.scalar, key.only_with));
    return;
  }
  const std::string reason = why_not_accepted(key, value);
  if (!reason.empty()) problems.add(value.where, key.path, reason);
}

void check_section(std::string_view section, const ConfigTree& tree, const ConfigTree& dataset_type,
                   ConfigProblems& problems) {
  for (const ConfigTree::Entry& entry : tree.entries) {
    const std::string path = section.empty() ? entry.key : fmt::format("{}.{}", section, entry.key);
    const KeySpec* key = find_key(path);
    if (key != nullptr && entry.key.find('.') == std::string::npos) {
      check_value(*key, entry.value, dataset_type, problems);
    } else if (section.empty() && is_section(entry.key)) {
      if (entry.value.is_map()) {
        check_section(entry.key, entry.value, dataset_type, problems);
      } else if (!entry.value.is_null()) {
        problems.add(entry.value.where, path,
                     fmt::format("expected keys below it, got {}", shown(entry.value)));
      }
    } else {
      problems.add(entry.where, path, "no such key" + suggestion_for(section, entry.key));
    }
  }
}

}  // namespace

std::string why_not_accepted(const KeySpec& key, const ConfigTree& value) {
  if (value.is_null()) {
    return key.required ? fmt::format("needs a value: {}", describe_accepted(key)) : "";
  }
  if (value.kind == ConfigTree::Kind::kScalar && std::ranges::count(key.words, value.scalar) > 0) {
    return "";
  }
  if (is_accepted_scalar(key, key.kinds, value)) return "";
  if (value.kind == ConfigTree::Kind::kList && !key.list_of.empty()) {
    if (value.items.size() < key.list_min || value.items.size() > key.list_max) {
      return fmt::format("expected {} to {} entries, got {}", key.list_min, key.list_max,
                         value.items.size());
    }
    for (const ConfigTree& item : value.items) {
      if (!is_accepted_scalar(key, key.list_of, item)) {
        return fmt::format("expected {}; got {} in it", describe_accepted(key), shown(item));
      }
    }
    return "";
  }
  const std::string hint = value.kind == ConfigTree::Kind::kScalar && !key.words.empty()
                               ? did_you_mean(value.scalar, key.words)
                               : "";
  return fmt::format("expected {}; got {}{}", describe_accepted(key), shown(value), hint);
}

void check_against_schema(const ConfigTree& tree, ConfigProblems& problems) {
  if (tree.is_null()) return;
  if (!tree.is_map()) {
    problems.add(tree.where, "config", fmt::format("expected keys, got {}", shown(tree)));
    return;
  }
  static const ConfigTree kUnknown;
  const ConfigTree* type = tree.find_path("dataset.type");
  check_section("", tree, type != nullptr ? *type : kUnknown, problems);
}

}  // namespace cfp
