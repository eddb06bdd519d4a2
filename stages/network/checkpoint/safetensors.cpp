#include "stages/network/checkpoint/safetensors.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "stages/core/output_file.h"
#include "stages/network/checkpoint/json_cursor.h"

namespace cfp {
namespace {

constexpr auto kTypes = std::to_array<std::pair<std::string_view, DType>>({
    {"F32", DType::kFloat32},
    {"F64", DType::kFloat64},
    {"F16", DType::kFloat16},
    {"BF16", DType::kBFloat16},
    {"I64", DType::kInt64},
    {"I32", DType::kInt32},
    {"I16", DType::kInt16},
    {"I8", DType::kInt8},
    {"U8", DType::kUInt8},
    {"BOOL", DType::kBool},
});

/// A tensor of the header, with its range in the data.
struct HeaderTensor {
  StoredTensor tensor;
  std::uint64_t begin = 0, end = 0;
};

DType dtype_of(const std::string& type, const JsonCursor& json) {
  const auto* found =
      std::ranges::find(kTypes, std::string_view(type), &decltype(kTypes)::value_type::first);
  if (found == kTypes.end()) {
    std::string known;
    for (const auto& [name, dtype] : kTypes) known += fmt::format(" {}", name);
    json.refuse(fmt::format("elements of type '{}'; known are{}", printable(type), known));
  }
  return found->second;
}

std::vector<std::int64_t> counts(JsonCursor& json, std::size_t most) {
  std::vector<std::int64_t> numbers;
  json.array([&] {
    if (numbers.size() == most) json.refuse(fmt::format("more than {} numbers", most));
    const std::int64_t number = json.integer();
    if (number < 0) json.refuse(fmt::format("{}, where nothing is negative", number));
    numbers.push_back(number);
  });
  return numbers;
}

HeaderTensor read_tensor(JsonCursor& json, const std::string& name) {
  HeaderTensor entry;
  entry.tensor.name = name;
  std::optional<DType> dtype;
  std::optional<std::vector<std::int64_t>> shape;
  std::vector<std::int64_t> offsets;
  json.object([&](const std::string& key) {
    if (key == "dtype") {
      dtype = dtype_of(json.string(), json);
    } else if (key == "shape") {
      shape = counts(json, kMaxAxes);
    } else if (key == "data_offsets") {
      offsets = counts(json, 2);
    } else {
      json.refuse(
          fmt::format("tensor '{}' has an unknown entry '{}'", printable(name), printable(key)));
    }
  });
  if (!dtype || !shape || offsets.size() != 2) {
    json.refuse(fmt::format("tensor '{}' lacks dtype, shape or two data_offsets", printable(name)));
  }
  entry.tensor.dtype = *dtype;
  entry.tensor.shape = *shape;
  entry.begin = static_cast<std::uint64_t>(offsets[0]);
  entry.end = static_cast<std::uint64_t>(offsets[1]);
  return entry;
}

std::vector<HeaderTensor> read_header(ByteView header, const std::string& file,
                                      std::map<std::string, std::string>& metadata) {
  JsonCursor json(as_text(header), fmt::format("'{}': its header", file));
  std::vector<HeaderTensor> entries;
  json.object([&](const std::string& key) {
    if (key == "__metadata__") {
      json.object([&](const std::string& name) { metadata[name] = json.string(); });
      return;
    }
    if (entries.size() == kMaxTensors)
      json.refuse(fmt::format("more than {} tensors", kMaxTensors));
    entries.push_back(read_tensor(json, key));
  });
  json.end();
  return entries;
}

/// Cuts the tensor's bytes out and compares their number with the shape.
void attach_data(HeaderTensor& entry, ByteView data, const std::string& file) {
  StoredTensor& tensor = entry.tensor;
  const auto refuse = [&](std::string_view why) {
    refuse_file(file, fmt::format("tensor '{}' {}", printable(tensor.name), why));
  };
  if (entry.begin > entry.end) refuse("ends before it begins");
  const ByteView bytes = checked_view(data, entry.begin, entry.end - entry.begin, file,
                                      fmt::format("tensor '{}'", printable(tensor.name)));
  std::int64_t size = size_of(tensor.dtype);
  for (const std::int64_t extent : tensor.shape) {
    if (__builtin_mul_overflow(size, extent, &size))
      refuse("has more elements than can be counted");
  }
  if (static_cast<std::uint64_t>(size) != bytes.size()) {
    refuse(fmt::format("has {} bytes where its shape {}x{} needs {}", bytes.size(),
                       fmt::join(tensor.shape, "x"), to_string(tensor.dtype), size));
  }
  tensor.stride = contiguous_stride(tensor.shape);
  tensor.data =
      tensor_bytes(bytes, tensor.dtype, 0, tensor.shape, tensor.stride, file, tensor.name);
}

}  // namespace

Checkpoint parse_safetensors(ByteView bytes, const std::shared_ptr<const void>& owner,
                             const std::string& file) {
  ByteReader reader(bytes, file);
  const std::uint64_t header_size = reader.u64("the header's length");
  if (header_size > kMaxSafetensorsHeader) {
    refuse_file(file, fmt::format("a safetensors header of {} bytes, more than the format's {}",
                                  header_size, kMaxSafetensorsHeader));
  }
  Checkpoint checkpoint{.path = file, .format = "safetensors", .tensors = {}, .metadata = {}};
  const ByteView header = reader.take(header_size, "the safetensors header");
  std::vector<HeaderTensor> entries = read_header(header, file, checkpoint.metadata);
  const ByteView data = bytes.subspan(reader.position());
  std::ranges::stable_sort(
      entries, {}, [](const HeaderTensor& entry) { return std::pair(entry.begin, entry.end); });
  // The format allows neither overlaps nor holes, so that a file can hide nothing.
  std::uint64_t expected = 0;
  for (HeaderTensor& entry : entries) {
    attach_data(entry, data, file);
    if (entry.begin != expected) {
      refuse_file(file,
                  fmt::format("tensor '{}' begins at byte {} of the data where {} was expected:"
                              " tensors overlap or leave a hole",
                              printable(entry.tensor.name), entry.begin, expected));
    }
    expected = entry.end;
    entry.tensor.owner = owner;
    checkpoint.tensors.push_back(std::move(entry.tensor));
  }
  if (expected != data.size()) {
    refuse_file(file, fmt::format("{} bytes follow the last tensor", data.size() - expected));
  }
  if (checkpoint.tensors.empty()) refuse_file(file, "a safetensors file without tensors");
  return checkpoint;
}

void write_safetensors(const std::string& path, std::span<const NamedWeight> weights,
                       const std::map<std::string, std::string>& metadata) {
  std::string header = "{\"__metadata__\":{";
  for (const char* comma = ""; const auto& [key, value] : metadata) {
    header += fmt::format("{}{}:{}", comma, json_quoted(key), json_quoted(value));
    comma = ",";
  }
  header += "}";
  std::int64_t offset = 0;
  for (const NamedWeight& weight : weights) {
    const std::int64_t end = offset + weight.tensor.elements() * size_of(DType::kFloat32);
    header +=
        fmt::format(",{}:{{\"dtype\":\"F32\",\"shape\":[{}],\"data_offsets\":[{},{}]}}",
                    json_quoted(weight.name), fmt::join(weight.tensor.shape, ","), offset, end);
    offset = end;
  }
  header += "}";
  // Blanks up to a cache line, so that the tensors can be used as they lie in the mapped file.
  constexpr std::size_t kAlignment = 64;
  header.append((kAlignment - (header.size() + 8) % kAlignment) % kAlignment, ' ');

  OutputFile file(path);
  std::string length(8, '\0');
  for (std::size_t i = 0; i < 8; ++i)
    length[i] = static_cast<char>(header.size() >> (8 * i) & 0xFF);
  file.write(length);
  file.write(header);
  for (const NamedWeight& weight : weights) {
    const std::size_t size = static_cast<std::size_t>(weight.tensor.elements()) * sizeof(float);
    file.write({reinterpret_cast<const char*>(weight.tensor.data.get()), size});
  }
  file.finish();
}

}  // namespace cfp
