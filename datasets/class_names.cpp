#include "datasets/class_names.h"

#include <algorithm>
#include <map>
#include <set>
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

struct NumberedLine {
  std::string text;
  std::int64_t number = 0;  ///< of the line
};

/// All lines up to the last that is not empty.
std::vector<NumberedLine> read_lines(const std::filesystem::path& path) {
  LineReader reader(path);
  std::vector<NumberedLine> lines;
  std::int64_t empty_line = 0;
  for (std::string line; reader.next(line);) {
    const std::string_view name = trim(line);
    if (name.empty()) {
      if (empty_line == 0) empty_line = reader.line_number();
      continue;
    }
    if (empty_line != 0) {
      reader.fail_at(empty_line,
                     "is empty, between names: which label the next names have is unclear");
    }
    if (lines.size() > static_cast<std::size_t>(kMaxLabel)) {
      reader.fail(fmt::format("more than {} class names", kMaxLabel + 1));
    }
    lines.push_back({std::string(name), reader.line_number()});
  }
  return lines;
}

std::string_view unquoted(std::string_view text) {
  const bool quoted = text.size() >= 2 && text.front() == '"' && text.back() == '"';
  return quoted ? text.substr(1, text.size() - 2) : text;
}

/// The number at the beginning or end of a line, and the name that is left: `12 name`, `12,name`,
/// `name 12`.
std::optional<std::pair<std::int64_t, std::string>> split_number(std::string_view line,
                                                                 bool at_front) {
  constexpr std::string_view kBetween = " ,\t;:";
  const std::size_t gap = at_front ? line.find_first_of(kBetween) : line.find_last_of(kBetween);
  if (gap == std::string_view::npos) return std::nullopt;
  const std::string_view before = line.substr(0, gap), after = line.substr(gap + 1);
  const auto number = parse_integer(at_front ? before : after);
  const std::string_view name = unquoted(trim(at_front ? after : before));
  if (!number || name.empty()) return std::nullopt;
  return std::pair(*number, std::string(name));
}

/// The names by number, where every line has one and they count from 0 or 1, in any order; a first
/// line such as `id,name` is passed over.
std::optional<std::vector<NumberedLine>> by_number(const std::vector<NumberedLine>& lines,
                                                   bool at_front) {
  const bool has_header = lines.size() > 1 && !split_number(lines[0].text, at_front) &&
                          split_number(lines[1].text, at_front);
  std::map<std::int64_t, NumberedLine> names;
  for (std::size_t i = has_header ? 1 : 0; i < lines.size(); ++i) {
    const auto parts = split_number(lines[i].text, at_front);
    if (!parts) return std::nullopt;
    const bool is_new =
        names.emplace(parts->first, NumberedLine{parts->second, lines[i].number}).second;
    if (!is_new) return std::nullopt;
  }
  const std::int64_t lowest = names.begin()->first;
  const auto count = static_cast<std::int64_t>(names.size());
  if (lowest < 0 || lowest > 1 || names.rbegin()->first != lowest + count - 1) return std::nullopt;
  std::vector<NumberedLine> ordered;
  std::set<std::string> different;
  for (auto& [number, name] : names) {
    different.insert(normalise_class_name(name.text));
    ordered.push_back(std::move(name));
  }
  // `class 0`, `class 1`, …: there the number is what tells the names apart.
  if (different.size() < ordered.size()) return std::nullopt;
  return ordered;
}

/// The names of the lines, in the order of their labels.
std::vector<NumberedLine> ordered_names(std::vector<NumberedLine> lines) {
  for (const bool at_front : {true, false}) {
    if (auto ordered = by_number(lines, at_front)) return std::move(*ordered);
  }
  for (NumberedLine& line : lines) line.text = std::string(unquoted(line.text));
  return lines;
}

/// The first of the columns that the table has; the last one where it has none.
std::string column_of(const CsvTable& table, std::initializer_list<const char*> names) {
  for (const char* name : names) {
    if (table.has(name)) return name;
  }
  return *(names.end() - 1);
}

bool is_class_table(const std::filesystem::path& path) {
  LineReader reader(path);
  std::string line;
  if (!reader.next(line) || line.find(',') == std::string::npos) return false;
  return line.find("key") != std::string::npos && line.find("id") != std::string::npos;
}

std::vector<std::string> read_class_table(const std::filesystem::path& path) {
  CsvTable table(path);
  const std::string id_column = column_of(table, {"verb_id", "noun_id", "id"});
  const std::string name_column = column_of(table, {"class_key", "key"});
  std::vector<std::string> names;
  while (table.next()) {
    const auto id = parse_integer(table.at(id_column));
    if (!id || *id < 0 || *id > kMaxLabel) {
      table.fail(fmt::format("{} is '{}'; 0 to {} are allowed", id_column, table.at(id_column),
                             kMaxLabel));
    }
    const auto index = static_cast<std::size_t>(*id);
    if (names.size() <= index) names.resize(index + 1);
    if (!names[index].empty()) table.fail(fmt::format("class {} stands here twice", *id));
    names[index] = trim(table.at(name_column));
    if (names[index].empty()) table.fail("the class has no name");
  }
  const auto gap = std::ranges::find(names, std::string());
  if (names.empty() || gap != names.end()) {
    throw ConfigError(fmt::format("{}: class {} is missing", path.string(), gap - names.begin()));
  }
  const ClassIndex no_twins(names, path.string());
  return names;
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
  if (is_class_table(path)) return read_class_table(path);
  std::vector<NumberedLine> lines = read_lines(path);
  if (lines.empty()) throw ConfigError(fmt::format("{}: holds no class names", path.string()));
  std::vector<std::string> names;
  std::unordered_map<std::string, std::int64_t> line_of;
  for (const NumberedLine& line : ordered_names(std::move(lines))) {
    const auto [entry, is_new] = line_of.emplace(normalise_class_name(line.text), line.number);
    if (!is_new) {
      throw ConfigError(fmt::format("{}:{}: '{}' is the same name as line {}", path.string(),
                                    line.number, line.text, entry->second));
    }
    names.push_back(line.text);
  }
  return names;
}

ClassIndex::ClassIndex(const std::vector<std::string>& names, std::string_view what)
    : names_(names) {
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (names[i].empty()) continue;  // a label whose name is not known
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
  constexpr std::size_t kMostNamed = 500;
  constexpr std::size_t kMostComparisons = 500'000;  // of spellings: a few tenths of a second
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
    const bool is_affordable = (named.size() + 1) * known.size() <= kMostComparisons;
    named.push_back(fmt::format("'{}'{}", name, is_affordable ? index.suggestion(name) : ""));
  }
  const std::size_t left_out = strangers.size() - named.size();
  throw ConfigError(fmt::format("{}: {} of {} have no counterpart among the {} known classes: {}{}",
                                what, strangers.size(), wanted.size(), known.size(),
                                fmt::join(named, ", "),
                                left_out == 0 ? "" : fmt::format(" and {} more", left_out)));
}

}  // namespace cfp
