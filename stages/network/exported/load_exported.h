// An archive of torch.export as a network ready to be run, without Python.
//
//   Network network = load_any_network({.type = "exported", .file = "network.pt2"});
#pragma once

#include <string>
#include <vector>

#include "stages/network/checkpoint/load_network.h"
#include "stages/network/exported/program.h"

namespace cfp {

struct ImportedNetwork {
  Network network;
  Triple clip_size{};                ///< T, H, W of the clip that it was exported for
  std::vector<std::string> notes;    ///< what was left out of the graph, as sentences
  std::vector<std::string> outputs;  ///< names of all its outputs
};

/// Makes a graph of an exported program. Layers have the names of their parameters.
///
/// @param output which of several outputs gives the logits; what leads only to others is left out
/// @throws SystemError an operation that is not known or cannot be led through; names it and its
/// node
/// @throws ConfigError there is no such output
ImportedNetwork import_program(const ExportedProgram& program, int output = 0);

/// Loads an exported network, or by load_network() one of the built-in architectures.
///
/// @throws ConfigError as load_network(); clips of another size than it was exported for
/// @throws SystemError as load_network(), import_program()
Network load_any_network(const NetworkOptions& options);

/// Describes an archive for a reader: outputs, clip size, every layer, what was left out.
std::string describe_exported(const std::string& path);

}  // namespace cfp
