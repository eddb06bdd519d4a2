// The safetensors format: a JSON header, then the tensors' bytes one after the other.
//
// Source: the format's description in the safetensors repository's README, section "Format".
#pragma once

#include <map>
#include <memory>
#include <span>
#include <string>

#include "stages/network/checkpoint/checkpoint.h"
#include "stages/network/network.h"

namespace cfp {

/// Longest header that the format allows, bytes.
inline constexpr std::uint64_t kMaxSafetensorsHeader = 100'000'000;

/// Reads a safetensors file.
///
/// @param bytes  the whole file
/// @param owner  keeps `bytes` alive
/// @throws SystemError truncated, a header that is no such JSON, an unknown element type, tensors
///         that overlap, leave holes or leave the file
Checkpoint parse_safetensors(ByteView bytes, const std::shared_ptr<const void>& owner,
                             const std::string& file);

/// A tensor to be written.
struct NamedWeight {
  std::string name;
  WeightTensor tensor;
};

/// Writes float32 tensors in the given order; the file appears whole or not at all.
///
/// @throws SystemError the folder cannot be written, or the disk is full
void write_safetensors(const std::string& path, std::span<const NamedWeight> weights,
                       const std::map<std::string, std::string>& metadata);

}  // namespace cfp
