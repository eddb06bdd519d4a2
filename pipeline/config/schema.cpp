#include "pipeline/config/schema.h"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace cfp {
namespace {

std::string describe_kind(ValueKind kind, bool plural) {
  switch (kind) {
    case ValueKind::kBoolean:
      return "true or false";
    case ValueKind::kInteger:
      return plural ? "integers" : "integer";
    case ValueKind::kReal:
      return plural ? "numbers" : "number";
    case ValueKind::kText:
      return plural ? "words" : "text";
  }
  throw std::logic_error("ValueKind out of range");
}

bool is_number(ValueKind kind) { return kind == ValueKind::kInteger || kind == ValueKind::kReal; }

std::string describe_range(const KeySpec& key) {
  const char* from = key.above_minimum ? "above" : key.maximum ? "from" : "at least";
  if (key.minimum && key.maximum) {
    return fmt::format(" {} {:g} {} {:g}", from, *key.minimum, key.above_minimum ? "up to" : "to",
                       *key.maximum);
  }
  if (key.minimum) return fmt::format(" {} {:g}", from, *key.minimum);
  if (key.maximum) return fmt::format(" up to {:g}", *key.maximum);
  return "";
}

std::string describe_kinds(const KeySpec& key, const std::vector<ValueKind>& kinds, bool plural) {
  std::vector<std::string> parts;
  for (const ValueKind kind : kinds) {
    // A real number may be written as an integer; where both count, both are meant.
    parts.push_back(describe_kind(kind, plural) + (is_number(kind) ? describe_range(key) : ""));
  }
  return fmt::format("{}", fmt::join(parts, " or "));
}

}  // namespace

bool KeySpec::accepts(ValueKind kind) const { return std::ranges::count(kinds, kind) > 0; }

bool KeySpec::belongs_to(std::string_view dataset_type) const {
  return only_with.empty() ||
         fmt::format(" {} ", only_with).find(fmt::format(" {} ", dataset_type)) !=
             std::string::npos;
}

const KeySpec* find_key(std::string_view path) {
  const auto& keys = config_schema();
  const auto key = std::ranges::find(keys, path, &KeySpec::path);
  return key == keys.end() ? nullptr : &*key;
}

std::string_view leaf_name(std::string_view path) {
  const std::size_t dot = path.rfind('.');
  return dot == std::string_view::npos ? path : path.substr(dot + 1);
}

std::string_view section_name(std::string_view path) {
  const std::size_t dot = path.find('.');
  return dot == std::string_view::npos ? std::string_view() : path.substr(0, dot);
}

std::string describe_accepted(const KeySpec& key) {
  std::vector<std::string> parts;
  if (!key.words.empty()) parts.push_back(fmt::format("{}", fmt::join(key.words, " | ")));
  if (!key.kinds.empty()) parts.push_back(describe_kinds(key, key.kinds, false));
  if (!key.list_of.empty()) {
    const std::string length = key.list_min == key.list_max ? fmt::format("{} ", key.list_min) : "";
    parts.push_back("list of " + length + describe_kinds(key, key.list_of, true));
  }
  return fmt::format("{}", fmt::join(parts, ", or "));
}

}  // namespace cfp
