// Reading annotation files strictly: lines, CSV records, and CSV tables with a header.
//
// Every reader takes LF and CRLF, skips a byte order mark, and does not need an end at the last
// line. Lines are bounded, NUL bytes are refused, and every error is a ConfigError `file:line:
// why`.
//
//   CsvTable table("val.csv");
//   while (table.next()) use(table.at("youtube_id"), table.line_number());
#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace cfp {

/// Lines of a text file, without their ends.
class LineReader {
 public:
  static constexpr std::size_t kMaxLineBytes = 1 << 20;

  /// @throws ConfigError the file is missing, is a folder or cannot be opened
  explicit LineReader(std::filesystem::path path);

  /// Reads the next line into `line`.
  /// @return false at the end of the file
  /// @throws ConfigError a line over kMaxLineBytes, a NUL byte, a failing disk
  bool next(std::string& line);

  /// Number of the line that next() gave last, from 1.
  std::int64_t line_number() const { return line_number_; }
  bool ended_with_crlf() const { return ended_with_crlf_; }
  const std::filesystem::path& path() const { return path_; }
  /// @throws ConfigError always: `file:line: why`
  [[noreturn]] void fail(const std::string& why) const { fail_at(line_number_, why); }
  [[noreturn]] void fail_at(std::int64_t line, const std::string& why) const;

 private:
  std::filesystem::path path_;
  std::ifstream file_;
  std::int64_t line_number_ = 0;
  bool ended_with_crlf_ = false;
};

/// Records of a CSV file as RFC 4180 has them: quotes double inside quotes, quoted fields may hold
/// separators and line ends. Empty lines are skipped.
class CsvReader {
 public:
  static constexpr std::size_t kMaxFields = 4096;

  explicit CsvReader(const std::filesystem::path& path, char separator = ',');

  /// Reads the next record.
  /// @return false at the end of the file
  /// @throws ConfigError an open quote, text after a closing quote, too many or too long fields
  bool next(std::vector<std::string>& fields);

  /// Line on which the last record began, from 1.
  std::int64_t line_number() const { return record_line_; }
  [[noreturn]] void fail(const std::string& why) const { lines_.fail_at(record_line_, why); }

 private:
  /// Reads the field that begins at `position` of the line and moves it to the field's end.
  std::string read_plain(std::size_t& position);
  std::string read_quoted(std::size_t& position);  ///< goes on over the ends of lines

  LineReader lines_;
  std::string line_;
  char separator_;
  std::int64_t record_line_ = 0;
};

/// A CSV file whose first record names the columns; columns are found by name, in any order.
class CsvTable {
 public:
  /// @throws ConfigError no header, or a column named twice
  explicit CsvTable(const std::filesystem::path& path, char separator = ',');

  const std::vector<std::string>& columns() const { return columns_; }
  bool has(std::string_view column) const { return find(column).has_value(); }

  /// Reads the next row.
  /// @return false at the end of the file
  /// @throws ConfigError the row has more or fewer fields than the header
  bool next();

  /// The current row's field in a column.
  /// @throws ConfigError the file has no such column; the message lists those it has
  const std::string& at(std::string_view column) const;
  /// The field, or an empty string where the file has no such column.
  const std::string& get(std::string_view column) const;

  std::int64_t line_number() const { return reader_.line_number(); }
  [[noreturn]] void fail(const std::string& why) const { reader_.fail(why); }

 private:
  std::optional<std::size_t> find(std::string_view column) const;

  CsvReader reader_;
  std::vector<std::string> columns_;
  std::vector<std::string> fields_;
};

/// @return the text as one CSV field, in quotes where it needs them
std::string csv_field(std::string_view text);

/// @return the text without blanks and tabs at its ends
std::string_view trim(std::string_view text);
/// @return the words of a line, between blanks and tabs
std::vector<std::string_view> words_of(std::string_view line);
/// @return the text with A to Z as a to z; other bytes stay
std::string ascii_lower(std::string_view text);
/// @return the whole text as a decimal integer; absent where it is none or does not fit
std::optional<std::int64_t> parse_integer(std::string_view text);
/// @return the whole text as a finite decimal number; absent where it is none
std::optional<double> parse_number(std::string_view text);

}  // namespace cfp
