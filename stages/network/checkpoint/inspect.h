// What the verbs `cfp inspect` and `cfp convert` do.
#pragma once

#include <cstdint>
#include <string>

#include "stages/network/checkpoint/load_network.h"

namespace cfp {

/// Describes a checkpoint for a reader: format, parameters, the network that it looks like with the
/// line of YAML that would load it, metadata, and every tensor with type and shape.
///
/// @return lines of text, ending in a newline; names from the file are escaped
/// @throws SystemError two tensors are one when their prefixes are stripped
std::string describe_checkpoint(const Checkpoint& checkpoint);

struct ConvertOptions {
  std::string type;                      ///< as in NetworkOptions
  std::optional<int> num_classes;        ///< as in NetworkOptions
  std::vector<std::string> class_names;  ///< by output; empty: what the checkpoint says
  std::string preset;  ///< preprocessing; empty: what the checkpoint says or shows
  std::optional<Triple> input_size;
  ArchitectureOverrides overrides;
};

/// Reads a checkpoint strictly and writes it as float32 safetensors that need no options to load:
/// architecture, overrides, class count, class names and preset become metadata.
///
/// @return the network that was written
/// @throws ConfigError as load_network(); no such preset
/// @throws SystemError as load_network(); `output` cannot be written
Network convert_checkpoint(const std::string& input, const std::string& output,
                           const ConvertOptions& options);

}  // namespace cfp
