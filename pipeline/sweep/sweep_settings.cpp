#include "pipeline/sweep/sweep_settings.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <optional>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "pipeline/config/schema.h"
#include "pipeline/config/yaml_reader.h"
#include "stages/core/errors.h"
#include "stages/core/formula.h"

namespace cfp {
namespace {

constexpr std::string_view kModeKey = "mode", kPointsKey = "points";

/// Longest name of a point: well below what file systems take.
constexpr std::size_t kLongestName = 120;

bool is_section(std::string_view key) {
  return std::ranges::any_of(config_sections(), [&](const SectionSpec& section) {
    return !section.name.empty() && section.name == key;
  });
}

/// `network=i3d` stands for `network.type=i3d`.
std::string full_key(const std::string& key, const std::string& value) {
  const bool names_type = is_section(key) && !value.starts_with('{') && find_key(key + ".type");
  return names_type ? key + ".type" : key;
}

/// The one name of a key that has two: `network.type` for `network`.
std::string one_name(const std::string& key) {
  return is_section(key) && find_key(key + ".type") ? key + ".type" : key;
}

std::vector<std::string> split_values(const std::string& text) {
  std::vector<std::string> values(1);
  int depth = 0;
  char quote = '\0';
  for (const char c : text) {
    if (quote != '\0') {
      if (c == quote) quote = '\0';
    } else if (c == '"' || c == '\'') {
      quote = c;
    } else if (c == '[' || c == '{') {
      ++depth;
    } else if (c == ']' || c == '}') {
      --depth;
    } else if (c == ',' && depth == 0) {
      values.emplace_back();
      continue;
    }
    values.back() += c;
  }
  return values;
}

[[noreturn]] void fail(const ConfigTree& at, std::string_view key, std::string_view reason) {
  throw ConfigError(
      fmt::format("{}: sweep{}{}: {}", at.where.to_string(), key.empty() ? "" : ".", key, reason));
}

PointSettings settings_of(const ConfigTree& point, std::size_t index) {
  const std::string key = fmt::format("{}[{}]", kPointsKey, index);
  if (!point.is_map() || point.entries.empty()) {
    fail(point, key, "expected keys and their values, such as {explain.threshold: 0.4}");
  }
  PointSettings settings;
  for (const ConfigTree::Entry& entry : point.entries) {
    const std::string value = to_flow_yaml(entry.value);
    settings.emplace_back(full_key(entry.key, value), value);
  }
  return settings;
}

/// What the config's section says.
struct Section {
  std::optional<SweepMode> mode;
  std::vector<SweepAxis> axes;
  std::vector<PointSettings> points;
};

SweepMode read_mode(const ConfigTree& value) {
  if (value.scalar == "grid") return SweepMode::kGrid;
  if (value.scalar == "zip") return SweepMode::kZip;
  fail(value, kModeKey, fmt::format("expected grid or zip, not {}", to_flow_yaml(value)));
}

SweepAxis read_axis(const ConfigTree::Entry& entry) {
  if (entry.value.kind != ConfigTree::Kind::kList || entry.value.items.empty()) {
    fail(entry.value, entry.key, "expected a list of values");
  }
  SweepAxis axis{.key = entry.key};
  for (const ConfigTree& item : entry.value.items) axis.values.push_back(to_flow_yaml(item));
  return axis;
}

Section read_section(const ConfigTree& tree) {
  Section section;
  if (tree.is_null()) return section;
  if (!tree.is_map()) fail(tree, "", "expected keys, each with a list of values");
  for (const ConfigTree::Entry& entry : tree.entries) {
    if (entry.key == kModeKey) {
      section.mode = read_mode(entry.value);
    } else if (entry.key == kPointsKey) {
      if (entry.value.kind != ConfigTree::Kind::kList) fail(entry.value, kPointsKey, "no list");
      for (const ConfigTree& point : entry.value.items) {
        section.points.push_back(settings_of(point, section.points.size()));
      }
    } else {
      const auto same = std::ranges::find(section.axes, one_name(entry.key),
                                          [](const SweepAxis& axis) { return one_name(axis.key); });
      if (same != section.axes.end()) {
        fail(entry.value, entry.key, fmt::format("{} is there already", same->key));
      }
      section.axes.push_back(read_axis(entry));
    }
  }
  if (!section.points.empty() && (!section.axes.empty() || section.mode)) {
    fail(tree, kPointsKey,
         "the points are listed one by one, so there is no mode and no other key");
  }
  return section;
}

void replace_axis(std::vector<SweepAxis>& axes, const SweepAxis& axis) {
  const auto known = std::ranges::find(axes, one_name(axis.key),
                                       [](const SweepAxis& other) { return one_name(other.key); });
  if (known == axes.end()) {
    axes.push_back(axis);
  } else {
    *known = axis;
  }
}

PointSettings settings_at(const std::vector<SweepAxis>& axes,
                          const std::vector<std::size_t>& indices) {
  PointSettings settings;
  for (std::size_t a = 0; a < axes.size(); ++a) {
    const std::string& value = axes[a].values[indices[a]];
    settings.emplace_back(full_key(axes[a].key, value), value);
  }
  return settings;
}

std::vector<PointSettings> zipped(const std::vector<SweepAxis>& axes) {
  std::vector<PointSettings> points;
  for (const SweepAxis& axis : axes) {
    if (axis.values.size() == axes[0].values.size()) continue;
    throw ConfigError(
        fmt::format("sweep: zip needs as many values of each key: {} has {}, {} has {}",
                    axes[0].key, axes[0].values.size(), axis.key, axis.values.size()));
  }
  for (std::size_t i = 0; i < axes[0].values.size(); ++i) {
    points.push_back(settings_at(axes, std::vector<std::size_t>(axes.size(), i)));
  }
  return points;
}

std::vector<PointSettings> combined(const std::vector<SweepAxis>& axes) {
  std::size_t count = 1;
  for (const SweepAxis& axis : axes) {
    count *= axis.values.size();
    if (count > kMostPoints) {
      throw ConfigError(fmt::format("sweep: more than {} points", kMostPoints));
    }
  }
  std::vector<PointSettings> points;
  for (std::size_t point = 0; point < count; ++point) {
    std::vector<std::size_t> indices(axes.size());
    std::size_t rest = point;
    for (std::size_t a = axes.size(); a-- > 0; rest /= axes[a].values.size()) {
      indices[a] = rest % axes[a].values.size();
    }
    points.push_back(settings_at(axes, indices));
  }
  return points;
}

/// What a value is called in a folder's name: `i3d` of `{type: i3d, checkpoint: x.pth}`.
std::string label_of(const ConfigTree& value) {
  std::vector<std::string> parts;
  switch (value.kind) {
    case ConfigTree::Kind::kNull:
      return "null";
    case ConfigTree::Kind::kScalar:
      return value.scalar.find('/') == std::string::npos
                 ? value.scalar
                 : std::filesystem::path(value.scalar).stem().string();
    case ConfigTree::Kind::kList:
      for (const ConfigTree& item : value.items) parts.push_back(label_of(item));
      break;
    case ConfigTree::Kind::kMap:
      if (const ConfigTree* type = value.find("type")) return label_of(*type);
      for (const ConfigTree::Entry& entry : value.entries) parts.push_back(label_of(entry.value));
      break;
  }
  return fmt::format("{}", fmt::join(parts, "+"));
}

std::string short_key(const std::string& key) {
  const std::string_view leaf = leaf_name(key);
  return std::string(leaf == "type" ? section_name(key) : leaf);
}

std::string clean_name(const PointSettings& settings) {
  std::vector<std::string> parts;
  for (const auto& [key, value] : settings) {
    parts.push_back(short_key(key) + '=' + label_of(read_override_value(value)));
  }
  std::string name = fmt::format("{}", fmt::join(parts, ","));
  for (char& c : name) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       std::string_view(".,=+_-").find(c) != std::string_view::npos;
    if (!plain) c = '_';
  }
  return name;
}

/// The name with a hash of everything that makes the point.
std::string hashed_name(const std::string& name, const PointSettings& settings) {
  std::string said;
  for (const auto& [key, value] : settings) said += key + '=' + value + '\n';
  return fmt::format("{}-{:08x}", name.substr(0, kLongestName - 9), fnv1a64(said) & 0xffff'ffff);
}

}  // namespace

SweepArguments parse_sweep_arguments(const std::vector<std::string>& words) {
  SweepArguments arguments;
  for (const std::string& word : words) {
    const std::size_t equals = word.find('=');
    if (equals == std::string::npos || equals == 0) {
      throw ConfigError(fmt::format("command line: '{}': expected key=value or key=a,b,c", word));
    }
    std::vector<std::string> values = split_values(word.substr(equals + 1));
    if (values.size() == 1) {
      arguments.overrides.push_back(word);
    } else {
      replace_axis(arguments.axes, {word.substr(0, equals), std::move(values)});
    }
  }
  return arguments;
}

void take_axes_of(const ConfigTree& section, SweepArguments& arguments) {
  const Section read = read_section(section);
  const auto is_swept = [&](const std::string& key) {
    const auto is = [&](const std::string& other) { return one_name(other) == one_name(key); };
    return std::ranges::any_of(read.axes, is, &SweepAxis::key) ||
           std::ranges::any_of(read.points, [&](const PointSettings& point) {
             return std::ranges::any_of(point, is, &PointSettings::value_type::first);
           });
  };
  std::vector<std::string> kept;
  for (std::string& word : arguments.overrides) {
    const std::size_t equals = word.find('=');
    const std::string key = word.substr(0, equals);
    if (is_swept(key)) {
      replace_axis(arguments.axes, {key, {word.substr(equals + 1)}});
    } else {
      kept.push_back(std::move(word));
    }
  }
  arguments.overrides = std::move(kept);
}

std::vector<PointSettings> sweep_settings(const ConfigTree& section,
                                          const std::vector<SweepAxis>& axes, bool zip) {
  Section read = read_section(section);
  if (!read.points.empty() && !axes.empty()) {
    fail(section, kPointsKey, "the points are listed one by one; the command line cannot add keys");
  }
  if (!read.points.empty()) {
    if (read.points.size() > kMostPoints) fail(section, kPointsKey, "too many");
    return read.points;
  }
  for (const SweepAxis& axis : axes) replace_axis(read.axes, axis);
  if (read.axes.empty()) {
    throw ConfigError(
        "sweep: nothing to go through: name values in the config's section `sweep`, or as "
        "key=a,b,c on the command line");
  }
  const SweepMode mode = zip ? SweepMode::kZip : read.mode.value_or(SweepMode::kGrid);
  return mode == SweepMode::kZip ? zipped(read.axes) : combined(read.axes);
}

std::vector<std::string> point_names(const std::vector<PointSettings>& points) {
  std::vector<std::string> names;
  std::map<std::string, int> times;
  for (const PointSettings& point : points) {
    names.push_back(clean_name(point));
    ++times[names.back()];
  }
  for (std::size_t i = 0; i < points.size(); ++i) {
    if (times[names[i]] > 1 || names[i].size() > kLongestName) {
      names[i] = hashed_name(names[i], points[i]);
    }
  }
  return names;
}

}  // namespace cfp
