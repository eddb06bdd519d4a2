// Reads JSON whose structure is known, from front to back, keeping nothing.
//
// The header of a safetensors file is JSON that nobody trusts and may be 100 MB long: building a
// tree of it first would cost many times that. The caller names what it expects; anything else,
// a key that is there twice, or a value of another type is refused with its position. It needs no
// library, so the networks build where LibTorch and fmt are all there is.
//
//   JsonCursor json(text, file);
//   json.object([&](const std::string& key) { values[key] = json.string(); });
//   json.end();
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <string_view>

namespace cfp {

/// Every call throws SystemError, naming file and offset, where something else stands.
class JsonCursor {
 public:
  /// @param text  must outlive the cursor
  /// @param what  named in messages: `'demo.safetensors': its header`
  JsonCursor(std::string_view text, std::string what) : text_(text), what_(std::move(what)) {}

  /// Calls `on_member(key)` for each member; it has to read the value.
  template <class OnMember>
  void object(OnMember on_member) {
    std::set<std::string> keys;
    expect('{');
    if (accept('}')) return;
    do {
      const std::string key = string();
      expect(':');
      if (!keys.insert(key).second) refuse_duplicate(key);
      on_member(key);
    } while (accept(','));
    expect('}');
  }

  /// Calls `on_item()` for each item; it has to read it.
  template <class OnItem>
  void array(OnItem on_item) {
    expect('[');
    if (accept(']')) return;
    do {
      on_item();
    } while (accept(','));
    expect(']');
  }

  std::string string();
  /// An integer without fraction or exponent.
  std::int64_t integer();
  bool boolean();
  /// Nothing but blanks may be left.
  void end();
  [[noreturn]] void refuse(std::string_view why) const;

 private:
  void skip_blanks();
  bool accept(char wanted);
  void expect(char wanted);
  unsigned hex4();
  void append_escape(std::string& out);
  [[noreturn]] void refuse_duplicate(const std::string& key) const;

  std::string_view text_;
  std::string what_;
  std::size_t position_ = 0;
};

/// @return `text` as a JSON string, quotes included
std::string json_quoted(std::string_view text);

}  // namespace cfp
