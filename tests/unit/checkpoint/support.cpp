#include "tests/unit/checkpoint/support.h"

#include <bit>
#include <cstring>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include "stages/network/checkpoint/bytes.h"
#include "tests/support/run_command.h"

namespace cfp::test {
namespace fs = std::filesystem;

Bytes read_bytes(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::runtime_error("cannot read " + path.string());
  return {std::istreambuf_iterator<char>(file), {}};
}

void write_bytes(const fs::path& path, std::string_view bytes) {
  // Some file systems flush to disk when a file is cut and written again; a new one costs nothing.
  fs::remove(path);
  std::ofstream file(path, std::ios::binary);
  file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  if (!file.flush()) throw std::runtime_error("cannot write " + path.string());
}

Bytes pickled_text(std::string_view text) {
  return "X" + little(static_cast<std::uint32_t>(text.size())) + std::string(text);
}

Bytes pickled_global(std::string_view module, std::string_view name) {
  return fmt::format("c{}\n{}\n", module, name);
}

Bytes pickled_int(std::int32_t value) { return "J" + little(value); }

namespace {

Bytes storage_id(std::string_view key, std::int32_t elements, std::string_view rest) {
  return "(" + pickled_text("storage") + pickled_global("torch", "FloatStorage") +
         pickled_text(key) + pickled_text("cpu") + pickled_int(elements) + std::string(rest) + "tQ";
}

Bytes pickled_tuple(const std::vector<std::int32_t>& numbers) {
  Bytes out = "(";
  for (const std::int32_t number : numbers) out += pickled_int(number);
  return out + "t";
}

Bytes tensor_of(const Bytes& storage, std::int32_t offset, const std::vector<std::int32_t>& shape,
                const std::vector<std::int32_t>& stride) {
  return pickled_global("torch._utils", "_rebuild_tensor_v2") + "(" + storage +
         pickled_int(offset) + pickled_tuple(shape) + pickled_tuple(stride) + "\x89" +
         pickled_global("collections", "OrderedDict") + ")RtR";
}

Bytes raw_floats(const std::vector<float>& values) {
  Bytes out(values.size() * sizeof(float), '\0');
  std::memcpy(out.data(), values.data(), out.size());
  return out;
}

}  // namespace

Bytes pickled_storage(std::string_view key, std::int32_t elements) {
  return storage_id(key, elements, "");
}

Bytes pickled_tensor(std::string_view key, std::int32_t elements, std::int32_t offset,
                     const std::vector<std::int32_t>& shape,
                     const std::vector<std::int32_t>& stride) {
  return tensor_of(pickled_storage(key, elements), offset, shape, stride);
}

Bytes pickle_of(std::string_view body) { return "\x80\x02" + std::string(body) + "."; }

Bytes zip_of(const std::vector<ZipItem>& items, bool zip64_end) {
  Bytes archive;
  Bytes directory;
  for (const ZipItem& item : items) {
    const auto offset = item.local_offset.value_or(static_cast<std::uint32_t>(archive.size()));
    const std::uint32_t crc = item.crc.value_or(crc32(view_of(item.data)));
    const std::string local_name = item.local_name.value_or(item.name);
    const auto size = static_cast<std::uint32_t>(item.data.size());
    const Bytes head = little(item.flags) + little(item.method) + little(std::uint32_t{0});
    archive += "PK\x03\x04" + little(std::uint16_t{45}) + head + little(crc) + little(size) +
               little(size) + little(static_cast<std::uint16_t>(local_name.size())) +
               little(std::uint16_t{0}) + local_name + item.data;
    const std::uint32_t in_64 = 0xFFFFFFFF;
    Bytes extra;
    if (item.zip64) {
      extra = little(std::uint16_t{1}) + little(std::uint16_t{24}) + little(std::uint64_t{size}) +
              little(std::uint64_t{size}) + little(std::uint64_t{offset});
    }
    directory += "PK\x01\x02" + little(std::uint32_t{0}) + head + little(crc) +
                 little(item.zip64 ? in_64 : size) + little(item.zip64 ? in_64 : size) +
                 little(static_cast<std::uint16_t>(item.name.size())) +
                 little(static_cast<std::uint16_t>(extra.size())) + little(std::uint64_t{0}) +
                 little(std::uint16_t{0}) + little(item.zip64 ? in_64 : offset) + item.name + extra;
  }
  const std::uint64_t directory_at = archive.size();
  archive += directory;
  const auto count = static_cast<std::uint16_t>(items.size());
  if (zip64_end) {
    const std::uint64_t end_at = archive.size();
    archive += "PK\x06\x06" + little(std::uint64_t{44}) + little(std::uint32_t{0}) +
               little(std::uint64_t{0}) + little(std::uint64_t{count}) +
               little(std::uint64_t{count}) + little(std::uint64_t{directory.size()}) +
               little(directory_at);
    archive += "PK\x06\x07" + little(std::uint32_t{0}) + little(end_at) + little(std::uint32_t{1});
  }
  return archive + "PK\x05\x06" + little(std::uint32_t{0}) + little(count) + little(count) +
         little(static_cast<std::uint32_t>(directory.size())) +
         little(static_cast<std::uint32_t>(directory_at)) + little(std::uint16_t{0});
}

Bytes zip_checkpoint(const std::vector<float>& values) {
  const auto count = static_cast<std::int32_t>(values.size());
  const Bytes pickle =
      pickle_of("}" + pickled_text("a") + pickled_tensor("0", count, 0, {count}, {1}) + "s");
  return zip_of({{.name = "x/data.pkl", .data = pickle},
                 {.name = "x/byteorder", .data = "little"},
                 {.name = "x/data/0", .data = raw_floats(values)}});
}

Bytes legacy_checkpoint(const std::vector<float>& values, bool little_endian) {
  const auto count = static_cast<std::int32_t>(values.size());
  const Bytes magic = pickle_of("\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19");
  const Bytes machine =
      pickle_of("}" + pickled_text("little_endian") + (little_endian ? "\x88" : "\x89") + "s");
  const Bytes object = pickle_of("}" + pickled_text("a") +
                                 tensor_of(storage_id("7", count, "N"), 0, {count}, {1}) + "s");
  return magic + pickle_of("M\xe9\x03") + machine + object +
         pickle_of("]" + pickled_text("7") + "a") + little(static_cast<std::uint64_t>(count)) +
         raw_floats(values);
}

std::string make_checkpoints(const std::string& python, const std::string& action,
                             const fs::path& target) {
  const std::string command =
      fmt::format("'{}' '{}/tests/unit/checkpoint/make_checkpoints.py' {} '{}'", python,
                  CFP_SOURCE_DIR, action, target.string());
  CommandResult result = run_command(command);
  if (result.exit_code != 0) throw std::runtime_error("failed: " + command + result.output);
  return std::move(result.output);
}

std::vector<ExpectedTensor> parse_expected(const std::string& text) {
  std::vector<ExpectedTensor> tensors;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream fields(line);
    ExpectedTensor tensor;
    std::string values;
    std::getline(fields, tensor.name, '\t');
    if (tensor.name == "metadata") continue;
    std::getline(fields, tensor.dtype, '\t');
    std::getline(fields, tensor.shape, '\t');
    std::getline(fields, values);
    const char* next = values.c_str();
    for (char* end = nullptr; *next != '\0'; next = end) {
      tensor.values.push_back(static_cast<float>(std::strtod(next, &end)));
      if (end == next) throw std::runtime_error("no number: " + line);
    }
    tensors.push_back(std::move(tensor));
  }
  return tensors;
}

void expect_tensors(const Checkpoint& checkpoint, const std::vector<ExpectedTensor>& expected) {
  ASSERT_EQ(checkpoint.tensors.size(), expected.size());
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const StoredTensor& tensor = checkpoint.tensors[i];
    SCOPED_TRACE(tensor.name);
    EXPECT_EQ(tensor.name, expected[i].name);
    EXPECT_EQ(to_string(tensor.dtype), expected[i].dtype);
    EXPECT_EQ(fmt::format("{}", fmt::join(tensor.shape, "x")), expected[i].shape);
    ASSERT_EQ(static_cast<std::size_t>(tensor.elements()), expected[i].values.size());
    const auto values = float_data(tensor, checkpoint.path);
    for (std::size_t j = 0; j < expected[i].values.size(); ++j) {
      ASSERT_EQ(std::bit_cast<std::uint32_t>(values.get()[j]),
                std::bit_cast<std::uint32_t>(expected[i].values[j]))
          << "element " << j << ": " << values.get()[j] << " and not " << expected[i].values[j];
    }
  }
}

}  // namespace cfp::test
