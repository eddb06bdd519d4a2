#include "results/statistics/csv.h"

namespace cfp {

CsvCell::CsvCell(std::string_view text) {
  const bool bare = text.find_first_of(",\"\r\n") == std::string_view::npos &&
                    (text.empty() || (text.front() != ' ' && text.back() != ' '));
  if (bare) {
    text_ = text;
    return;
  }
  text_ += '"';
  for (const char c : text) {
    if (c == '"') text_ += '"';
    text_ += c;
  }
  text_ += '"';
}

std::string csv_line(std::initializer_list<CsvCell> cells) {
  std::string line;
  for (const CsvCell& cell : cells) {
    if (!line.empty() || &cell != cells.begin()) line += ',';
    line += cell.text();
  }
  line += '\n';
  return line;
}

}  // namespace cfp
