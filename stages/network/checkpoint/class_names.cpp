#include "stages/network/checkpoint/class_names.h"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>

#include <fmt/format.h>

#include "stages/core/errors.h"

namespace cfp {
namespace {

constexpr std::uintmax_t kLargestFile = 16U << 20;
constexpr std::string_view kBlanks = " \t\r";

[[noreturn]] void refuse(const std::string& path, std::size_t line, std::string_view why) {
  throw ConfigError(fmt::format("class names: {}:{}: {}", path, line, why));
}

std::string_view trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(kBlanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

std::string_view unquoted(std::string_view text) {
  if (text.size() >= 2 && text.front() == '"' && text.back() == '"') {
    return text.substr(1, text.size() - 2);
  }
  return text;
}

std::vector<std::string> read_lines(const std::string& path) {
  std::error_code error;
  const std::uintmax_t size = std::filesystem::file_size(path, error);
  if (error) throw ConfigError(fmt::format("class names: {}: {}", path, error.message()));
  if (size > kLargestFile) {
    throw ConfigError(
        fmt::format("class names: {}: {} bytes, more than {}", path, size, kLargestFile));
  }
  std::ifstream file(path);
  if (!file) throw ConfigError(fmt::format("class names: {}: cannot be opened", path));
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);) {
    if (lines.empty() && line.starts_with("\xEF\xBB\xBF")) line.erase(0, 3);
    lines.emplace_back(trimmed(line));
  }
  while (!lines.empty() && lines.back().empty()) lines.pop_back();
  if (lines.empty()) throw ConfigError(fmt::format("class names: {}: is empty", path));
  for (std::size_t i = 0; i < lines.size(); ++i) {
    if (lines[i].empty()) refuse(path, i + 1, "a blank line, where each line is a class");
  }
  return lines;
}

struct IndexedName {
  std::int64_t index = 0;
  std::string_view name;
};

/// `12 name`, `12,name`, `12<tab>name`.
std::optional<IndexedName> split_index(std::string_view line) {
  IndexedName entry;
  const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), entry.index);
  const auto digits = static_cast<std::size_t>(end - line.data());
  if (error != std::errc() || digits == line.size() ||
      std::string_view(" ,\t;:").find(line[digits]) == std::string_view::npos) {
    return std::nullopt;
  }
  entry.name = trimmed(line.substr(digits + 1));
  if (entry.name.empty()) return std::nullopt;
  return entry;
}

/// @return the names by index, or nothing where not every line has an index of 0..n-1 or 1..n
std::optional<std::vector<std::string>> by_index(const std::vector<std::string>& lines) {
  // A table's first line, such as `id,name`.
  const std::size_t first = lines.size() > 1 && !split_index(lines[0]) && split_index(lines[1]);
  std::map<std::int64_t, std::string> names;
  for (std::size_t i = first; i < lines.size(); ++i) {
    const std::optional<IndexedName> entry = split_index(lines[i]);
    if (!entry || !names.emplace(entry->index, unquoted(entry->name)).second) return std::nullopt;
  }
  const auto count = static_cast<std::int64_t>(names.size());
  const std::int64_t lowest = names.begin()->first;
  if (lowest < 0 || lowest > 1 || names.rbegin()->first != lowest + count - 1) return std::nullopt;
  std::vector<std::string> ordered;
  ordered.reserve(names.size());
  for (auto& [index, name] : names) ordered.push_back(std::move(name));
  return ordered;
}

}  // namespace

std::vector<std::string> read_class_names(const std::string& path) {
  const std::vector<std::string> lines = read_lines(path);
  std::vector<std::string> names;
  if (auto ordered = by_index(lines)) {
    names = std::move(*ordered);
  } else {
    for (const std::string& line : lines) names.emplace_back(unquoted(line));
  }
  std::map<std::string_view, std::size_t> seen;
  for (std::size_t i = 0; i < names.size(); ++i) {
    const auto [first, fresh] = seen.emplace(names[i], i);
    if (!fresh) {
      throw ConfigError(fmt::format("class names: {}: '{}' is class {} and class {}", path,
                                    names[i], first->second, i));
    }
  }
  return names;
}

}  // namespace cfp
