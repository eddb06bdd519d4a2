// Lines of a CSV file as RFC 4180 has them, and numbers as text. Private to results/.
#pragma once

#include <charconv>
#include <concepts>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>

namespace cfp {

/// @return the shortest text that reads back as the same number, whatever the locale
template <class T>
requires std::integral<T> || std::floating_point<T> std::string number_text(T value) {
  char buffer[64];
  const auto [end, error] = std::to_chars(buffer, buffer + sizeof buffer, value);
  return {buffer, end};
}

/// One value of a line. A text is quoted where it must be; an absent number is an empty cell.
class CsvCell {
 public:
  CsvCell(std::string_view text);  // NOLINT(google-explicit-constructor): a cell is its value
  CsvCell(const std::string& text) : CsvCell(std::string_view(text)) {}  // NOLINT
  CsvCell(const char* text) : CsvCell(std::string_view(text)) {}         // NOLINT
  template <class T>
  requires std::integral<T> || std::floating_point<T> CsvCell(T value)
      : text_(number_text(value)) {}  // NOLINT
  template <class T>
  CsvCell(const std::optional<T>& value) : text_(value ? number_text(*value) : "") {}  // NOLINT

  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

/// @return the cells with commas between them and a line feed behind them
std::string csv_line(std::initializer_list<CsvCell> cells);

}  // namespace cfp
