// What a run will leave on disk, before it begins.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>

#include "pipeline/run/prepare.h"

namespace cfp {

/// Bytes of the part of a run. Estimates: nobody knows before a clip is explained how many channels
/// are found.
struct DiskNeed {
  std::int64_t certain_bytes = 0;  ///< relevance of all kernels and channels, tubes, logits
  std::int64_t edge_bytes = 0;     ///< where a tenth of the kernels and channels are found
  std::int64_t total() const { return certain_bytes + edge_bytes; }
};

/// @return absent where the clips' size depends on the video
std::optional<DiskNeed> disk_need(const Prepared& prepared);

/// @return bytes that are free where a folder is or will be made; absent where nobody can tell
std::optional<std::int64_t> free_bytes(const std::filesystem::path& folder);

}  // namespace cfp
