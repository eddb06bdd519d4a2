// Bytes of a file that nobody trusts: views, a cursor, and the one way of refusing them.
//
// Every reader of this room takes a view and the file's name; none reads outside the view.
//
//   ByteReader reader(file.bytes(), file.name());
//   const std::uint64_t length = reader.u64("header length");
//   const ByteView header = reader.take(length, "header");
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace cfp {

/// Bytes that something else owns.
using ByteView = std::span<const std::uint8_t>;

/// Refuses a file.
/// @throws SystemError always: `'<file>': <why>`
[[noreturn]] void refuse_file(std::string_view file, std::string_view why);

/// @return `text` for a message: control characters and bytes that are no ASCII escaped, at most
/// 120
///         characters, so that a hostile name cannot write to the terminal
std::string printable(std::string_view text);

/// @return `bytes` as text, not checked for being UTF-8
inline std::string_view as_text(ByteView bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// @return bytes [offset, offset + size) of a view
/// @param what  named in the message: `entry 'data.pkl'`
/// @throws SystemError the range leaves the view
ByteView checked_view(ByteView bytes, std::uint64_t offset, std::uint64_t size,
                      std::string_view file, std::string_view what);

/// Reads little-endian numbers and runs of bytes one after the other.
///
/// Every call throws SystemError, naming the file and `what`, where the view is too short.
class ByteReader {
 public:
  ByteReader(ByteView bytes, std::string file) : bytes_(bytes), file_(std::move(file)) {}

  std::size_t position() const { return position_; }
  std::size_t remaining() const { return bytes_.size() - position_; }
  const std::string& file() const { return file_; }

  ByteView take(std::uint64_t size, std::string_view what);
  /// Up to the next newline, which is read but not returned.
  std::string_view line(std::string_view what);
  std::uint8_t u8(std::string_view what) { return number<std::uint8_t>(what); }
  std::uint16_t u16(std::string_view what) { return number<std::uint16_t>(what); }
  std::uint32_t u32(std::string_view what) { return number<std::uint32_t>(what); }
  std::uint64_t u64(std::string_view what) { return number<std::uint64_t>(what); }

 private:
  template <class T>
  T number(std::string_view what) {
    const ByteView raw = take(sizeof(T), what);
    T value = 0;
    for (std::size_t i = 0; i < sizeof(T); ++i) {
      value = static_cast<T>(value | static_cast<T>(T{raw[i]} << (8 * i)));
    }
    return value;
  }

  ByteView bytes_;
  std::string file_;
  std::size_t position_ = 0;
};

/// CRC-32 of zip, gzip and PNG (polynomial 0xEDB88320).
std::uint32_t crc32(ByteView bytes);

}  // namespace cfp
