// What is in a checkpoint file, whatever its format: named tensors and a few words about them.
//
//   const Checkpoint checkpoint = read_checkpoint("resnet-50-kinetics.pth");
//   for (const StoredTensor& tensor : checkpoint.tensors) …
//
// Nothing of a file is ever executed. docs/networks.md lists the formats and what is refused.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "stages/network/checkpoint/bytes.h"

namespace cfp {

/// Type of a stored tensor's elements; little-endian.
enum class DType : std::uint8_t {
  kFloat32,
  kFloat64,
  kFloat16,
  kBFloat16,
  kInt64,
  kInt32,
  kInt16,
  kInt8,
  kUInt8,
  kBool,
};

/// @return bytes of one element
std::int64_t size_of(DType dtype);
/// @return `float32`, `bfloat16`, …
std::string_view to_string(DType dtype);

/// A tensor as it lies in a file. It need not be contiguous, nor aligned.
struct StoredTensor {
  std::string name;  ///< as in the file: `module.conv1.weight`
  DType dtype = DType::kFloat32;
  std::vector<std::int64_t> shape;    ///< empty for a single number
  std::vector<std::int64_t> stride;   ///< in elements, never negative; as many as `shape`
  ByteView data;                      ///< from the first element to the last one
  std::shared_ptr<const void> owner;  ///< keeps `data` alive

  std::int64_t elements() const;
};

struct Checkpoint {
  std::string path;
  std::string format;                           ///< `legacy .pth`, `zip .pth`, `safetensors`
  std::vector<StoredTensor> tensors;            ///< in the file's order
  std::map<std::string, std::string> metadata;  ///< safetensors' own, or scalars such as `epoch`
};

/// The number of tensors beyond which a file is refused; a ResNet-152 has 932.
inline constexpr std::size_t kMaxTensors = 100'000;
/// The number of axes beyond which a tensor is refused.
inline constexpr std::size_t kMaxAxes = 8;

/// Reads a checkpoint, whose format its first bytes tell: legacy or zip `.pth`/`.pt`, safetensors.
///
/// The tensors' data stay in the mapped file. Optimizer state and the like is passed over. For
/// torch files, the tensors are those of the dictionary under `state_dict`, `model`, `model_state`
/// or `net`, or of the file itself.
///
/// @throws SystemError cannot be read, is no checkpoint (says what it looks like), is damaged, or
///         asks for anything but tensors
Checkpoint read_checkpoint(const std::string& path);

/// Checks that a tensor lies within its storage and cuts its bytes out.
///
/// @param storage  bytes of the whole storage
/// @param offset   of the first element, in elements
/// @return         bytes from the first element to the last one; empty when there are no elements
/// @throws SystemError negative or overflowing numbers, too many axes, or outside the storage
ByteView tensor_bytes(ByteView storage, DType dtype, std::int64_t offset,
                      const std::vector<std::int64_t>& shape,
                      const std::vector<std::int64_t>& stride, std::string_view file,
                      std::string_view tensor_name);

/// @return the strides, in elements, of a contiguous row-major tensor
std::vector<std::int64_t> contiguous_stride(const std::vector<std::int64_t>& shape);

/// To be called when the shape is known to be a sensible one: a view may repeat one element without
/// end.
///
/// @return the tensor's elements in row-major order as float32. Points into the file where that is
///         what lies there, aligned; otherwise into memory of its own
/// @throws SystemError a value is not finite, or not finite as float32; names tensor and element
std::shared_ptr<const float> float_data(const StoredTensor& tensor, std::string_view file);

}  // namespace cfp
