#include "stages/network/checkpoint/json_cursor.h"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

#include "stages/core/errors.h"
#include "stages/network/checkpoint/bytes.h"

namespace cfp {
namespace {

void append_utf8(std::string& out, std::uint32_t code) {
  const auto put = [&out](std::uint32_t byte) { out += static_cast<char>(byte); };
  if (code < 0x80) {
    put(code);
  } else if (code < 0x800) {
    put(0xC0 | code >> 6);
    put(0x80 | (code & 0x3F));
  } else if (code < 0x10000) {
    put(0xE0 | code >> 12);
    put(0x80 | (code >> 6 & 0x3F));
    put(0x80 | (code & 0x3F));
  } else {
    put(0xF0 | code >> 18);
    put(0x80 | (code >> 12 & 0x3F));
    put(0x80 | (code >> 6 & 0x3F));
    put(0x80 | (code & 0x3F));
  }
}

}  // namespace

void JsonCursor::refuse(std::string_view why) const {
  throw SystemError(fmt::format("{} is refused at offset {}: {}", what_, position_, why));
}

void JsonCursor::refuse_duplicate(const std::string& key) const {
  refuse(fmt::format("the key '{}' is there twice", printable(key)));
}

void JsonCursor::skip_blanks() {
  const std::size_t next = text_.find_first_not_of(" \t\r\n", position_);
  position_ = next == std::string_view::npos ? text_.size() : next;
}

bool JsonCursor::accept(char wanted) {
  skip_blanks();
  if (position_ >= text_.size() || text_[position_] != wanted) return false;
  ++position_;
  return true;
}

void JsonCursor::expect(char wanted) {
  if (!accept(wanted)) refuse(fmt::format("'{}' expected", wanted));
}

std::string JsonCursor::string() {
  expect('"');
  std::string out;
  while (true) {
    if (position_ >= text_.size()) refuse("a text has no end");
    const char c = text_[position_++];
    if (c == '"') return out;
    if (static_cast<unsigned char>(c) < 0x20) refuse("a control character in a text");
    if (c == '\\') {
      append_escape(out);
    } else {
      out += c;
    }
  }
}

unsigned JsonCursor::hex4() {
  unsigned value = 0;
  const std::string_view digits = text_.substr(std::min(position_, text_.size()), 4);
  const auto [end, error] =
      std::from_chars(digits.data(), digits.data() + digits.size(), value, 16);
  if (error != std::errc() || digits.size() != 4 || end != digits.data() + 4) {
    refuse("\\u without four hexadecimal digits");
  }
  position_ += 4;
  return value;
}

void JsonCursor::append_escape(std::string& out) {
  if (position_ >= text_.size()) refuse("a text has no end");
  const char c = text_[position_++];
  switch (c) {
    case '"':
    case '\\':
    case '/':
      out += c;
      return;
    case 'b':
      out += '\b';
      return;
    case 'f':
      out += '\f';
      return;
    case 'n':
      out += '\n';
      return;
    case 'r':
      out += '\r';
      return;
    case 't':
      out += '\t';
      return;
    case 'u':
      break;
    default:
      refuse("an unknown escape in a text");
  }
  std::uint32_t code = hex4();
  if (code >= 0xDC00 && code < 0xE000) refuse("half a surrogate pair");
  if (code >= 0xD800 && code < 0xDC00) {
    if (text_.substr(std::min(position_, text_.size()), 2) != "\\u")
      refuse("half a surrogate pair");
    position_ += 2;
    const std::uint32_t low = hex4();
    if (low < 0xDC00 || low >= 0xE000) refuse("half a surrogate pair");
    code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
  }
  append_utf8(out, code);
}

std::int64_t JsonCursor::integer() {
  skip_blanks();
  std::int64_t value = 0;
  const char* begin = text_.data() + position_;
  const char* text_end = text_.data() + text_.size();
  const auto [end, error] = std::from_chars(begin, text_end, value);
  if (error != std::errc()) refuse("an integer of at most 64 bits expected");
  if (end != text_end && (*end == '.' || *end == 'e' || *end == 'E')) {
    refuse("an integer expected, but a fraction is there");
  }
  position_ += static_cast<std::size_t>(end - begin);
  return value;
}

bool JsonCursor::boolean() {
  skip_blanks();
  for (const auto& [word, value] : {std::pair<std::string_view, bool>{"true", true},
                                    std::pair<std::string_view, bool>{"false", false}}) {
    if (text_.substr(std::min(position_, text_.size())).starts_with(word)) {
      position_ += word.size();
      return value;
    }
  }
  refuse("true or false expected");
}

void JsonCursor::end() {
  skip_blanks();
  if (position_ != text_.size()) refuse("something follows its end");
}

std::string json_quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    switch (c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\t':
        out += "\\t";
        break;
      default:
        if (static_cast<unsigned char>(c) < 0x20) {
          out += fmt::format("\\u{:04x}", static_cast<unsigned char>(c));
        } else {
          out += c;
        }
    }
  }
  return out + "\"";
}

}  // namespace cfp
