#include "datasets/csv.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <unordered_set>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "stages/core/errors.h"

namespace cfp {
namespace {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

template <class Number>
std::optional<Number> parse_whole(std::string_view text) {
  if (text.starts_with('+') && !text.starts_with("+-")) text.remove_prefix(1);
  Number number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return number;
}

}  // namespace

LineReader::LineReader(std::filesystem::path path) : path_(std::move(path)) {
  std::error_code error;
  const auto status = std::filesystem::status(path_, error);
  if (!std::filesystem::exists(status)) {
    throw ConfigError(fmt::format("{}: no such file", path_.string()));
  }
  if (!std::filesystem::is_regular_file(status)) {
    throw ConfigError(
        fmt::format("{}: a text file is needed, this is a folder or a device", path_.string()));
  }
  file_.open(path_, std::ios::binary);
  if (!file_) throw ConfigError(fmt::format("{}: cannot be opened for reading", path_.string()));
}

bool LineReader::next(std::string& line) {
  line.clear();
  auto* buffer = file_.rdbuf();
  using Traits = std::ifstream::traits_type;
  auto byte = buffer->sbumpc();
  if (Traits::eq_int_type(byte, Traits::eof())) return false;
  ++line_number_;
  for (; !Traits::eq_int_type(byte, Traits::eof()); byte = buffer->sbumpc()) {
    const char character = Traits::to_char_type(byte);
    if (character == '\n') break;
    if (character == '\0') fail("holds a NUL byte: this is no text file");
    if (line.size() == kMaxLineBytes) {
      fail(fmt::format("the line is longer than {} bytes", kMaxLineBytes));
    }
    line.push_back(character);
  }
  ended_with_crlf_ = line.ends_with('\r');
  if (ended_with_crlf_) line.pop_back();
  if (line_number_ == 1 && line.starts_with(kByteOrderMark)) line.erase(0, kByteOrderMark.size());
  return true;
}

void LineReader::fail_at(std::int64_t line, const std::string& why) const {
  throw ConfigError(fmt::format("{}:{}: {}", path_.string(), line, why));
}

CsvReader::CsvReader(const std::filesystem::path& path, char separator)
    : lines_(path), separator_(separator) {}

bool CsvReader::next(std::vector<std::string>& fields) {
  fields.clear();
  do {
    if (!lines_.next(line_)) return false;
  } while (line_.empty());
  record_line_ = lines_.line_number();

  std::size_t position = 0;
  for (;;) {
    if (fields.size() == kMaxFields) fail(fmt::format("more than {} fields", kMaxFields));
    const bool quoted = position < line_.size() && line_[position] == '"';
    fields.push_back(quoted ? read_quoted(position) : read_plain(position));
    if (position >= line_.size()) return true;
    if (line_[position] != separator_) {
      fail(fmt::format("text follows the closing quote of field {}", fields.size()));
    }
    ++position;
  }
}

std::string CsvReader::read_plain(std::size_t& position) {
  const std::size_t end = std::min(line_.find(separator_, position), line_.size());
  std::string field = line_.substr(position, end - position);
  if (field.find('"') != std::string::npos) {
    fail(fmt::format("a quote stands inside a field that does not begin with one: {:.60}", field));
  }
  position = end;
  return field;
}

std::string CsvReader::read_quoted(std::size_t& position) {
  std::string field;
  for (++position;;) {
    const std::size_t quote = line_.find('"', position);
    if (quote == std::string::npos) {
      field.append(line_, position);
      field.append(lines_.ended_with_crlf() ? "\r\n" : "\n");
      if (field.size() > LineReader::kMaxLineBytes) fail("a quoted field is too long");
      if (!lines_.next(line_)) fail("a quote that opens here is never closed");
      position = 0;
      continue;
    }
    field.append(line_, position, quote - position);
    position = quote + 1;
    if (position == line_.size() || line_[position] != '"') return field;
    field.push_back('"');
    ++position;
  }
}

CsvTable::CsvTable(const std::filesystem::path& path, char separator) : reader_(path, separator) {
  if (!reader_.next(columns_)) {
    throw ConfigError(
        fmt::format("{}: is empty; a header of column names is needed", path.string()));
  }
  std::unordered_set<std::string> seen;
  for (std::string& column : columns_) {
    column = trim(column);
    if (!column.empty() && !seen.insert(column).second) {
      fail(fmt::format("two columns are called '{}'", column));
    }
  }
}

bool CsvTable::next() {
  if (!reader_.next(fields_)) return false;
  if (fields_.size() != columns_.size()) {
    fail(fmt::format("{} fields, but the header has {} columns ({})", fields_.size(),
                     columns_.size(), fmt::join(columns_, ", ")));
  }
  return true;
}

const std::string& CsvTable::at(std::string_view column) const {
  const auto index = find(column);
  if (!index) {
    fail(fmt::format("no column is called '{}'; there are: {}", column, fmt::join(columns_, ", ")));
  }
  return fields_.at(*index);
}

const std::string& CsvTable::get(std::string_view column) const {
  static const std::string nothing;
  const auto index = find(column);
  return index ? fields_.at(*index) : nothing;
}

std::optional<std::size_t> CsvTable::find(std::string_view column) const {
  const auto found = std::ranges::find(columns_, column);
  if (found == columns_.end()) return std::nullopt;
  return static_cast<std::size_t>(found - columns_.begin());
}

std::string csv_field(std::string_view text) {
  const bool blank_at_end = trim(text).size() != text.size();
  if (!blank_at_end && text.find_first_of(",\"\r\n") == std::string_view::npos) {
    return std::string(text);
  }
  std::string field = "\"";
  for (const char character : text) {
    if (character == '"') field.push_back('"');
    field.push_back(character);
  }
  field.push_back('"');
  return field;
}

std::string_view trim(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

std::vector<std::string_view> words_of(std::string_view line) {
  std::vector<std::string_view> words;
  for (std::size_t begin; (begin = line.find_first_not_of(" \t")) != std::string_view::npos;) {
    line.remove_prefix(begin);
    const std::size_t end = std::min(line.find_first_of(" \t"), line.size());
    words.push_back(line.substr(0, end));
    line.remove_prefix(end);
  }
  return words;
}

std::string ascii_lower(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return lower;
}

std::optional<std::int64_t> parse_integer(std::string_view text) {
  return parse_whole<std::int64_t>(text);
}

std::optional<double> parse_number(std::string_view text) {
  const auto number = parse_whole<double>(text);
  return number && std::isfinite(*number) ? number : std::nullopt;
}

}  // namespace cfp
