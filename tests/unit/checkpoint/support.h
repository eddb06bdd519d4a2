// What the tests of this room share: files made byte by byte, and Python as the other reader.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <gmock/gmock.h>

#include "stages/core/errors.h"
#include "stages/network/checkpoint/checkpoint.h"

namespace cfp::test {

/// Bytes of a file under construction, or of one that was read.
using Bytes = std::string;

inline ByteView view_of(const Bytes& bytes) {
  return {reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()};
}

Bytes read_bytes(const std::filesystem::path& path);
void write_bytes(const std::filesystem::path& path, std::string_view bytes);

/// Little-endian number.
template <class T>
Bytes little(T value) {
  Bytes out;
  for (std::size_t i = 0; i < sizeof value; ++i) {
    out += static_cast<char>(static_cast<std::uint64_t>(value) >> (8 * i) & 0xFF);
  }
  return out;
}

// --- pickles, instruction by instruction
// ----------------------------------------------------------

Bytes pickled_text(std::string_view text);
Bytes pickled_global(std::string_view module, std::string_view name);
Bytes pickled_int(std::int32_t value);
/// ('storage', torch.FloatStorage, key, 'cpu', elements) as a persistent id of a zip file.
Bytes pickled_storage(std::string_view key, std::int32_t elements);
/// A float32 tensor over a storage.
Bytes pickled_tensor(std::string_view key, std::int32_t elements, std::int32_t offset,
                     const std::vector<std::int32_t>& shape,
                     const std::vector<std::int32_t>& stride);
/// Protocol 2, `body`, STOP.
Bytes pickle_of(std::string_view body);

// --- zip archives
// -----------------------------------------------------------------------------------

struct ZipItem {
  std::string name;
  Bytes data;
  bool zip64 = false;  ///< sizes and offset in the zip64 field
  std::uint16_t method = 0;
  std::uint16_t flags = 0;
  std::optional<std::uint32_t> crc;           ///< else the right one
  std::optional<std::uint32_t> local_offset;  ///< else the right one
  std::optional<std::string> local_name;      ///< else `name`
};
Bytes zip_of(const std::vector<ZipItem>& items, bool zip64_end = false);
/// A zip checkpoint of one float32 tensor `a` of these values.
Bytes zip_checkpoint(const std::vector<float>& values);
/// The same as a legacy file.
Bytes legacy_checkpoint(const std::vector<float>& values, bool little_endian = true);

// --- Python
// -----------------------------------------------------------------------------------------

/// Runs make_checkpoints.py.
/// @return what it prints
/// @throws std::runtime_error it fails
std::string make_checkpoints(const std::string& python, const std::string& action,
                             const std::filesystem::path& target);

/// A line of make_checkpoints.py's text form.
struct ExpectedTensor {
  std::string name, dtype, shape;
  std::vector<float> values;
};
std::vector<ExpectedTensor> parse_expected(const std::string& text);

/// Compares names, types, shapes and values; bit by bit, since conversions are exact or rounded
/// once.
void expect_tensors(const Checkpoint& checkpoint, const std::vector<ExpectedTensor>& expected);

}  // namespace cfp::test

#define CFP_EXPECT_REFUSED(statement, text) \
  EXPECT_THAT([&] { statement; },           \
              ::testing::ThrowsMessage<cfp::SystemError>(::testing::HasSubstr(text)))
