#include "results/report/html.h"

#include <algorithm>
#include <cstdio>
#include <stdexcept>

namespace cfp::html {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

/// @return bytes of the UTF-8 character that starts at `i`; 0 where there is none
std::size_t character_bytes(std::string_view text, std::size_t i) {
  const auto byte = [&](std::size_t k) { return static_cast<unsigned char>(text[k]); };
  const unsigned char lead = byte(i);
  const std::size_t size = lead < 0x80           ? 1
                           : (lead >> 5) == 0x06 ? 2
                           : (lead >> 4) == 0x0E ? 3
                           : (lead >> 3) == 0x1E ? 4
                                                 : 0;
  if (size == 0 || i + size > text.size()) return 0;
  std::uint32_t code = size == 1 ? lead : lead & (0xFFU >> (size + 1));
  for (std::size_t k = i + 1; k < i + size; ++k) {
    if ((byte(k) & 0xC0) != 0x80) return 0;
    code = (code << 6) | (byte(k) & 0x3FU);
  }
  constexpr std::uint32_t kSmallest[] = {0, 0, 0x80, 0x800, 0x10000};
  const bool surrogate = code >= 0xD800 && code <= 0xDFFF;
  return code < kSmallest[size] || surrogate || code > 0x10FFFF ? 0 : size;
}

constexpr std::string_view kStyle = R"(
:root { color-scheme: light dark; --ink: #1b1b1f; --paper: #ffffff; --line: #d8d8de;
        --soft: #6a6a74; --tint: 70, 110, 200; --warn: #8a1c1c; --warn-paper: #fdecec; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e6ea; --paper: #17171a; --line: #3a3a42; --soft: #a0a0aa;
          --tint: 110, 150, 240; --warn: #ffb4b4; --warn-paper: #4a1515; } }
body { font: 15px/1.45 system-ui, sans-serif; color: var(--ink); background: var(--paper);
       max-width: 75rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin-bottom: .2rem; } h2 { font-size: 1.15rem; margin-top: 2.2rem; }
p.soft, figcaption, caption { color: var(--soft); }
p.warning { color: var(--warn); background: var(--warn-paper); padding: .6rem .9rem;
            border-left: 4px solid; font-weight: 600; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; margin: .8rem 0; font-variant-numeric: tabular-nums; }
caption { text-align: left; padding-bottom: .3rem; }
th, td { padding: .2rem .7rem; border-bottom: 1px solid var(--line); text-align: left;
         vertical-align: top; max-width: 22rem; overflow-wrap: break-word; }
th { vertical-align: bottom; } td.n, th.n { text-align: right; } td.n { white-space: nowrap; }
dl { display: grid; grid-template-columns: max-content auto; gap: .15rem 1.2rem; }
dt { color: var(--soft); } dd { margin: 0; }
section.clip { border-top: 1px solid var(--line); margin-top: 1.4rem; }
section.clip h3 { font-size: 1rem; overflow-wrap: anywhere; }
figure { margin: .5rem 0; } figure img { display: block; max-width: 100%; height: auto; }
)";

}  // namespace

std::string escape(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t size = character_bytes(text, i);
    const char c = text[i];
    if (size == 0 ||
        (size == 1 && static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\t') ||
        c == 0x7F) {
      out += kReplacement;
      ++i;
      continue;
    }
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        out += text.substr(i, size);
    }
    i += size;
  }
  return out;
}

std::string base64(std::span<const std::uint8_t> bytes) {
  constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::size_t given = std::min<std::size_t>(3, bytes.size() - i);
    std::uint32_t group = 0;
    for (std::size_t k = 0; k < 3; ++k) group = (group << 8) | (k < given ? bytes[i + k] : 0U);
    for (std::size_t k = 0; k < 4; ++k) {
      out += k <= given ? kDigits[(group >> (18 - 6 * k)) & 0x3FU] : '=';
    }
  }
  return out;
}

std::string image_uri(std::span<const std::uint8_t> image) {
  constexpr std::uint8_t kJpeg[] = {0xFF, 0xD8, 0xFF};
  constexpr std::uint8_t kPng[] = {0x89, 'P', 'N', 'G'};
  const auto starts_with = [image](std::span<const std::uint8_t> magic) {
    return image.size() >= magic.size() && std::equal(magic.begin(), magic.end(), image.begin());
  };
  if (starts_with(kJpeg)) return "data:image/jpeg;base64," + base64(image);
  if (starts_with(kPng)) return "data:image/png;base64," + base64(image);
  throw std::invalid_argument("a picture of a report is neither JPEG nor PNG");
}

std::string table(std::string_view caption, const std::vector<std::string>& header,
                  const std::vector<std::vector<Cell>>& rows) {
  std::string out = "<div class=\"scroll\"><table><caption>" + escape(caption) + "</caption>\n<tr>";
  for (std::size_t i = 0; i < header.size(); ++i) {
    const bool number = !rows.empty() && i < rows.front().size() && rows.front()[i].number;
    out += number ? "<th class=\"n\">" : "<th>";
    out += escape(header[i]);
    out += "</th>";
  }
  out += "</tr>\n";
  for (const std::vector<Cell>& row : rows) {
    out += "<tr>";
    for (const Cell& cell : row) {
      out += cell.number ? "<td class=\"n\"" : "<td";
      if (cell.shade >= 0) {
        char style[64];
        std::snprintf(style, sizeof style, " style=\"background:rgba(var(--tint),%.2f)\"",
                      0.75 * std::min(cell.shade, 1.0));
        out += style;
      }
      out += '>';
      out += cell.html;
      out += "</td>";
    }
    out += "</tr>\n";
  }
  return out + "</table></div>\n";
}

std::string page(std::string_view title, std::string_view body) {
  std::string out = "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n";
  out += "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>";
  out += escape(title);
  out += "</title>\n<style>";
  out += kStyle;
  out += "</style>\n</head>\n<body>\n";
  out += body;
  out += "</body>\n</html>\n";
  return out;
}

}  // namespace cfp::html
