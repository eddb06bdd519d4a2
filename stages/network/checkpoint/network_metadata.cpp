#include "stages/network/checkpoint/network_metadata.h"

#include <algorithm>
#include <limits>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "stages/network/checkpoint/bytes.h"
#include "stages/network/checkpoint/json_cursor.h"

namespace cfp {
namespace {

constexpr std::size_t kMostNumbers = 16;

int read_value(JsonCursor& json, int /*type*/) {
  const std::int64_t value = json.integer();
  if (value < std::numeric_limits<int>::min() || value > std::numeric_limits<int>::max()) {
    json.refuse(fmt::format("{} is out of range", value));
  }
  return static_cast<int>(value);
}

bool read_value(JsonCursor& json, bool /*type*/) { return json.boolean(); }

std::vector<int> read_value(JsonCursor& json, const std::vector<int>& /*type*/) {
  std::vector<int> values;
  json.array([&] {
    if (values.size() == kMostNumbers) json.refuse("too many numbers");
    values.push_back(read_value(json, 0));
  });
  return values;
}

Triple read_value(JsonCursor& json, const Triple& /*type*/) {
  const std::vector<int> values = read_value(json, std::vector<int>());
  if (values.size() != 3) json.refuse("three numbers expected: time, height, width");
  return {values[0], values[1], values[2]};
}

std::string value_text(int value) { return std::to_string(value); }
std::string value_text(bool value) { return value ? "true" : "false"; }
std::string value_text(const std::vector<int>& v) { return fmt::format("[{}]", fmt::join(v, ",")); }
std::string value_text(const Triple& v) { return fmt::format("[{}]", fmt::join(v, ",")); }

/// The one list of overrides: calls `visit(name, member)` for each.
template <class Visit>
void for_each_override(Visit visit) {
  visit("num_classes", &ArchitectureOverrides::num_classes);
  visit("blocks", &ArchitectureOverrides::blocks);
  visit("base_width", &ArchitectureOverrides::base_width);
  visit("expansion", &ArchitectureOverrides::expansion);
  visit("groups", &ArchitectureOverrides::groups);
  visit("stem_channels", &ArchitectureOverrides::stem_channels);
  visit("stem_kernel", &ArchitectureOverrides::stem_kernel);
  visit("stem_stride", &ArchitectureOverrides::stem_stride);
  visit("stem_pool", &ArchitectureOverrides::stem_pool);
  visit("final_pool", &ArchitectureOverrides::final_pool);
}

ArchitectureOverrides read_overrides(JsonCursor& json) {
  ArchitectureOverrides overrides;
  json.object([&](const std::string& key) {
    bool known = false;
    for_each_override([&](std::string_view name, auto member) {
      if (name != key) return;
      known = true;
      using Value = typename std::remove_cvref_t<decltype(overrides.*member)>::value_type;
      overrides.*member = read_value(json, Value());
    });
    if (!known) json.refuse(fmt::format("no override is called '{}'", printable(key)));
  });
  return overrides;
}

}  // namespace

NetworkMetadata parse_metadata(const std::map<std::string, std::string>& entries,
                               const std::string& file) {
  NetworkMetadata metadata;
  const auto with = [&](const char* key, auto read) {
    const auto found = entries.find(key);
    if (found == entries.end()) return;
    JsonCursor json(found->second, fmt::format("'{}': its metadata '{}'", file, key));
    read(json);
    json.end();
  };
  if (const auto found = entries.find("architecture"); found != entries.end()) {
    metadata.architecture = found->second;
  }
  if (const auto found = entries.find("preset"); found != entries.end()) {
    metadata.preset = found->second;
  }
  with("overrides", [&](JsonCursor& json) { metadata.overrides = read_overrides(json); });
  with("num_classes",
       [&](JsonCursor& json) { metadata.overrides.num_classes = read_value(json, 0); });
  with("input_size", [&](JsonCursor& json) { metadata.input_size = read_value(json, Triple()); });
  with("class_names", [&](JsonCursor& json) {
    json.array([&] { metadata.class_names.push_back(json.string()); });
  });
  return metadata;
}

std::map<std::string, std::string> metadata_entries(const NetworkMetadata& metadata) {
  std::map<std::string, std::string> entries;
  entries["architecture"] = metadata.architecture;
  if (!metadata.preset.empty()) entries["preset"] = metadata.preset;
  if (metadata.overrides.num_classes) {
    entries["num_classes"] = value_text(*metadata.overrides.num_classes);
  }
  if (metadata.input_size) entries["input_size"] = value_text(*metadata.input_size);
  if (!metadata.class_names.empty()) {
    std::vector<std::string> quoted;
    std::ranges::transform(metadata.class_names, std::back_inserter(quoted), json_quoted);
    entries["class_names"] = fmt::format("[{}]", fmt::join(quoted, ","));
  }
  std::vector<std::string> overrides;
  for_each_override([&](std::string_view name, auto member) {
    const auto& value = metadata.overrides.*member;
    if (value && name != "num_classes") {
      overrides.push_back(fmt::format("\"{}\":{}", name, value_text(*value)));
    }
  });
  if (!overrides.empty()) entries["overrides"] = fmt::format("{{{}}}", fmt::join(overrides, ","));
  return entries;
}

ArchitectureOverrides merged(ArchitectureOverrides base, const ArchitectureOverrides& changes) {
  for_each_override([&](std::string_view, auto member) {
    if (changes.*member) base.*member = changes.*member;
  });
  return base;
}

}  // namespace cfp
