// Element types, bounds of strided tensors, and their conversion to float32.
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <stdexcept>

#include <fmt/format.h>

#include "stages/network/checkpoint/checkpoint.h"

namespace cfp {

static_assert(std::endian::native == std::endian::little,
              "checkpoints are little-endian and are used as they lie in memory");

namespace {

float float_from_half(std::uint16_t bits) {
  const std::uint32_t sign = std::uint32_t{bits & 0x8000U} << 16;
  const std::uint32_t exponent = (bits >> 10) & 0x1F;
  const std::uint32_t mantissa = bits & 0x3FFU;
  if (exponent == 0) {  // zero or subnormal: mantissa * 2^-24, exact in float32
    const float magnitude = std::ldexp(static_cast<float>(mantissa), -24);
    return sign != 0 ? -magnitude : magnitude;
  }
  const std::uint32_t wide = exponent == 31 ? 255 : exponent + 112;
  return std::bit_cast<float>(sign | wide << 23 | mantissa << 13);
}

template <class T>
T load(const std::uint8_t* bytes) {
  T value;
  std::memcpy(&value, bytes, sizeof value);
  return value;
}

float load_as_float(const std::uint8_t* bytes, DType dtype) {
  switch (dtype) {
    case DType::kFloat32:
      return load<float>(bytes);
    case DType::kFloat64:
      return static_cast<float>(load<double>(bytes));
    case DType::kFloat16:
      return float_from_half(load<std::uint16_t>(bytes));
    case DType::kBFloat16:
      return std::bit_cast<float>(std::uint32_t{load<std::uint16_t>(bytes)} << 16);
    case DType::kInt64:
      return static_cast<float>(load<std::int64_t>(bytes));
    case DType::kInt32:
      return static_cast<float>(load<std::int32_t>(bytes));
    case DType::kInt16:
      return load<std::int16_t>(bytes);
    case DType::kInt8:
      return load<std::int8_t>(bytes);
    case DType::kUInt8:
      return *bytes;
    case DType::kBool:
      return *bytes != 0 ? 1.0F : 0.0F;
  }
  throw std::logic_error("DType out of range");
}

/// Copies the elements in row-major order; the last axis is the inner loop.
void gather(const StoredTensor& tensor, float* out) {
  const std::int64_t step = size_of(tensor.dtype);
  const std::size_t axes = tensor.shape.size();
  std::vector<std::int64_t> index(axes, 0);
  const std::int64_t total = tensor.elements();
  std::int64_t offset = 0;
  for (std::int64_t i = 0; i < total; ++i) {
    out[i] = load_as_float(tensor.data.data() + offset * step, tensor.dtype);
    for (std::size_t axis = axes; axis > 0; --axis) {
      offset += tensor.stride[axis - 1];
      if (++index[axis - 1] < tensor.shape[axis - 1]) break;
      offset -= tensor.stride[axis - 1] * tensor.shape[axis - 1];
      index[axis - 1] = 0;
    }
  }
}

/// @return position of the first value that is NaN or infinite, or `count`
std::int64_t first_not_finite(const float* values, std::int64_t count) {
  // Blocks without a branch inside: the sum of (x - x) is zero where all are finite, else NaN.
  constexpr std::int64_t kBlock = 4096;
  for (std::int64_t begin = 0; begin < count; begin += kBlock) {
    const std::int64_t end = std::min(begin + kBlock, count);
    std::uint32_t bad = 0;
    for (std::int64_t i = begin; i < end; ++i) {
      bad |= static_cast<std::uint32_t>((std::bit_cast<std::uint32_t>(values[i]) & 0x7F800000U) ==
                                        0x7F800000U);
    }
    if (bad == 0) continue;
    for (std::int64_t i = begin; i < end; ++i) {
      if (!std::isfinite(values[i])) return i;
    }
  }
  return count;
}

}  // namespace

std::int64_t size_of(DType dtype) {
  switch (dtype) {
    case DType::kFloat64:
    case DType::kInt64:
      return 8;
    case DType::kFloat32:
    case DType::kInt32:
      return 4;
    case DType::kFloat16:
    case DType::kBFloat16:
    case DType::kInt16:
      return 2;
    case DType::kInt8:
    case DType::kUInt8:
    case DType::kBool:
      return 1;
  }
  throw std::logic_error("DType out of range");
}

std::string_view to_string(DType dtype) {
  switch (dtype) {
    case DType::kFloat32:
      return "float32";
    case DType::kFloat64:
      return "float64";
    case DType::kFloat16:
      return "float16";
    case DType::kBFloat16:
      return "bfloat16";
    case DType::kInt64:
      return "int64";
    case DType::kInt32:
      return "int32";
    case DType::kInt16:
      return "int16";
    case DType::kInt8:
      return "int8";
    case DType::kUInt8:
      return "uint8";
    case DType::kBool:
      return "bool";
  }
  throw std::logic_error("DType out of range");
}

std::int64_t StoredTensor::elements() const {
  std::int64_t count = 1;  // tensor_bytes() has checked that this does not overflow
  for (const std::int64_t size : shape) count *= size;
  return count;
}

std::vector<std::int64_t> contiguous_stride(const std::vector<std::int64_t>& shape) {
  std::vector<std::int64_t> stride(shape.size(), 1);
  for (std::size_t axis = shape.size(); axis-- > 1;) {
    stride[axis - 1] = stride[axis] * std::max<std::int64_t>(shape[axis], 1);
  }
  return stride;
}

ByteView tensor_bytes(ByteView storage, DType dtype, std::int64_t offset,
                      const std::vector<std::int64_t>& shape,
                      const std::vector<std::int64_t>& stride, std::string_view file,
                      std::string_view tensor_name) {
  const auto refuse = [&](std::string_view why) {
    refuse_file(file, fmt::format("tensor '{}' {}", printable(tensor_name), why));
  };
  if (shape.size() != stride.size()) {
    refuse(fmt::format("has {} sizes but {} strides", shape.size(), stride.size()));
  }
  if (shape.size() > kMaxAxes) {
    refuse(fmt::format("has {} axes, more than {}", shape.size(), kMaxAxes));
  }
  if (offset < 0) refuse("begins before its storage");
  std::int64_t last = offset;  // the element furthest into the storage
  std::int64_t count = 1;
  bool overflow = false;
  for (std::size_t axis = 0; axis < shape.size(); ++axis) {
    if (shape[axis] < 0 || stride[axis] < 0) refuse("has a negative size or stride");
    std::int64_t reach = 0;
    overflow |=
        __builtin_mul_overflow(count, shape[axis], &count) ||
        __builtin_mul_overflow(std::max<std::int64_t>(shape[axis] - 1, 0), stride[axis], &reach) ||
        __builtin_add_overflow(last, reach, &last);
  }
  if (overflow) refuse("has more elements than can be counted");
  if (count == 0) return {};
  const auto available = static_cast<std::int64_t>(storage.size()) / size_of(dtype);
  if (last >= available) {
    refuse(fmt::format("reaches element {} of a storage of {}; the file is truncated or damaged",
                       last, available));
  }
  return storage.subspan(static_cast<std::size_t>(offset * size_of(dtype)),
                         static_cast<std::size_t>((last - offset + 1) * size_of(dtype)));
}

std::shared_ptr<const float> float_data(const StoredTensor& tensor, std::string_view file) {
  const std::int64_t count = tensor.elements();
  const auto* raw = tensor.data.data();
  const bool as_it_lies = tensor.dtype == DType::kFloat32 && count > 0 &&
                          tensor.stride == contiguous_stride(tensor.shape) &&
                          reinterpret_cast<std::uintptr_t>(raw) % alignof(float) == 0;
  std::shared_ptr<const float> values;
  if (as_it_lies) {
    values = std::shared_ptr<const float>(tensor.owner, reinterpret_cast<const float*>(raw));
  } else {
    const auto copy = std::make_shared<std::vector<float>>(static_cast<std::size_t>(count));
    gather(tensor, copy->data());
    values = std::shared_ptr<const float>(copy, copy->data());
  }
  const std::int64_t bad = first_not_finite(values.get(), count);
  if (bad < count) {
    refuse_file(
        file, fmt::format("tensor '{}' of {} holds {} at element {}; weights must be finite"
                          " as float32",
                          printable(tensor.name), to_string(tensor.dtype), values.get()[bad], bad));
  }
  return values;
}

}  // namespace cfp
