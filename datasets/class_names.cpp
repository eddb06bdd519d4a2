#include "datasets/class_names.h"

#include <algorithm>
#include <unordered_map>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "datasets/csv.h"
#include "stages/core/errors.h"

namespace cfp {
namespace {

/// Number of single-character edits between two words.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({replaced, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row[b.size()];
}

}  // namespace

std::string normalise_class_name(std::string_view name) {
  std::string normalised;
  bool blank_before = false;
  for (const char character : name) {
    if (character == '"') continue;
    if (character == ' ' || character == '\t' || character == '_' || character == '\r') {
      blank_before = true;
      continue;
    }
    if (blank_before && !normalised.empty()) normalised.push_back(' ');
    blank_before = false;
    const bool upper = character >= 'A' && character <= 'Z';
    normalised.push_back(upper ? static_cast<char>(character - 'A' + 'a') : character);
  }
  return normalised;
}

std::vector<std::string> read_class_list(const std::filesystem::path& path) {
  LineReader lines(path);
  std::vector<std::string> names;
  std::unordered_map<std::string, std::int64_t> line_of;
  std::int64_t empty_line = 0;
  for (std::string line; lines.next(line);) {
    const std::string name(trim(line));
    if (name.empty()) {
      if (empty_line == 0) empty_line = lines.line_number();
      continue;
    }
    if (empty_line != 0) {
      lines.fail_at(empty_line,
                    "is empty, between names: which label the next names have is unclear");
    }
    if (names.size() > static_cast<std::size_t>(kMaxLabel)) {
      lines.fail(fmt::format("more than {} class names", kMaxLabel + 1));
    }
    const auto [entry, is_new] = line_of.emplace(normalise_class_name(name), lines.line_number());
    if (!is_new) {
      lines.fail(fmt::format("'{}' is the same name as line {}", name, entry->second));
    }
    names.push_back(name);
  }
  if (names.empty()) throw ConfigError(fmt::format("{}: holds no class names", path.string()));
  return names;
}

ClassIndex::ClassIndex(const std::vector<std::string>& names, std::string_view what)
    : names_(names) {
  for (std::size_t i = 0; i < names.size(); ++i) {
    const auto [entry, is_new] =
        label_of_.emplace(normalise_class_name(names[i]), static_cast<int>(i));
    if (!is_new) {
      throw ConfigError(fmt::format("{}: '{}' ({}) and '{}' ({}) are the same name", what,
                                    names[static_cast<std::size_t>(entry->second)], entry->second,
                                    names[i], i));
    }
  }
}

std::optional<int> ClassIndex::find(std::string_view name) const {
  const auto found = label_of_.find(normalise_class_name(name));
  if (found == label_of_.end()) return std::nullopt;
  return found->second;
}

std::string ClassIndex::suggestion(std::string_view name) const {
  constexpr std::size_t kLongestName = 200;  // keeps a hostile list from costing hours
  const std::string normalised = normalise_class_name(name);
  if (normalised.size() > kLongestName) return {};
  std::size_t best_distance = normalised.size() / 3 + 1;
  const std::string* best = nullptr;
  for (const std::string& other : names_) {
    if (other.size() > kLongestName) continue;
    const std::size_t distance = edit_distance(normalised, normalise_class_name(other));
    if (distance < best_distance) {
      best_distance = distance;
      best = &other;
    }
  }
  return best == nullptr ? std::string() : fmt::format(" (did you mean '{}'?)", *best);
}

std::vector<int> join_class_names(const std::vector<std::string>& wanted,
                                  const std::vector<std::string>& known, std::string_view what) {
  constexpr std::size_t kMostNamed = 10;
  const ClassIndex index(known, "known classes");
  const ClassIndex no_twins(wanted, what);  // two wanted names that are one would merge two classes
  std::vector<int> joined;
  std::vector<std::string> strangers;
  for (const std::string& name : wanted) {
    if (const auto label = index.find(name)) {
      joined.push_back(*label);
    } else {
      strangers.push_back(name);
    }
  }
  if (strangers.empty()) return joined;

  std::vector<std::string> named;
  for (const std::string& name : strangers) {
    if (named.size() == kMostNamed) break;
    named.push_back(fmt::format("'{}'{}", name, index.suggestion(name)));
  }
  const bool all_named = named.size() == strangers.size();
  throw ConfigError(fmt::format("{}: {} of {} have no counterpart among the {} known classes: {}{}",
                                what, strangers.size(), wanted.size(), known.size(),
                                fmt::join(named, ", "), all_named ? "" : ", …"));
}

}  // namespace cfp
