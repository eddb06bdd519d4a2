// Small pieces of HTML. Private to this room.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace cfp::html {

/// @return text that a browser shows as it is, in an element or between quotes: `& < > " '` are
///         escaped; control characters and bytes that are no UTF-8 become U+FFFD
std::string escape(std::string_view text);

/// @return `data:image/jpeg;base64,…` of a JPEG, or the same of a PNG
/// @throws std::invalid_argument neither by its first bytes
std::string image_uri(std::span<const std::uint8_t> image);

std::string base64(std::span<const std::uint8_t> bytes);

/// A cell whose text is escaped, or given as HTML.
struct Cell {
  std::string html;
  bool number = false;  ///< aligned right
  double shade = -1;    ///< 0..1: how strongly the cell is tinted; below 0: not at all

  static Cell text(std::string_view value) { return {escape(value)}; }
  static Cell figure(std::string value, double shade = -1) {
    return {std::move(value), true, shade};
  }
};

/// @param header   escaped here; columns whose cells are numbers are aligned right
/// @param caption  escaped here; what the table shows
std::string table(std::string_view caption, const std::vector<std::string>& header,
                  const std::vector<std::vector<Cell>>& rows);

/// A whole page around a body.
/// @param title  escaped here
std::string page(std::string_view title, std::string_view body);

}  // namespace cfp::html
