// What a safetensors file says about its network beside the tensors.
//
// Keys: `architecture`; `num_classes`; `preset`; `class_names`, a JSON list; `overrides`, a JSON
// object of ArchitectureOverrides; `input_size`, a JSON list of T, H, W.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "stages/network/builders.h"

namespace cfp {

struct NetworkMetadata {
  std::string architecture;              ///< empty: not said
  std::string preset;                    ///< empty: not said
  std::vector<std::string> class_names;  ///< empty: not said
  std::optional<Triple> input_size;      ///< T, H, W
  ArchitectureOverrides overrides;       ///< `num_classes` is kept here, too
};

/// @param file  named in messages
/// @throws SystemError an entry is no such JSON, or names an override that does not exist
NetworkMetadata parse_metadata(const std::map<std::string, std::string>& entries,
                               const std::string& file);

/// @return the entries that parse_metadata() reads back as the same
std::map<std::string, std::string> metadata_entries(const NetworkMetadata& metadata);

/// @return `base` with every value that `changes` has in place of its own
ArchitectureOverrides merged(ArchitectureOverrides base, const ArchitectureOverrides& changes);

}  // namespace cfp
