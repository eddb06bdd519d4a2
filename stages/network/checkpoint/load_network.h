// One call from what a config says to a network ready to be run.
//
//   Network network = load_network({.type = "resnet50_3d", .checkpoint =
//   "resnet-50-kinetics.pth"});
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "stages/network/builders.h"
#include "stages/network/checkpoint/checkpoint.h"
#include "stages/network/network.h"

namespace cfp {

/// What `checkpoint:` says for weights from a formula.
inline constexpr std::string_view kRandomCheckpoint = "random";

/// The `network.type` of archives of torch.export, which stages/network/exported reads.
inline constexpr std::string_view kExportedType = "exported";

/// What is asked of a network; filled from the config's `network:` section.
struct NetworkOptions {
  std::string type;                ///< architecture; empty: what the checkpoint says or shows
  std::optional<int> num_classes;  ///< absent: what the checkpoint has; 400 for `random`
  std::string checkpoint = std::string(kRandomCheckpoint);  ///< path, or `random`
  std::uint64_t seed = 0;                                   ///< of `random`
  std::vector<std::string> class_names;  ///< by output; empty: what the checkpoint says
  std::optional<Triple> input_size;  ///< T, H, W; absent: the checkpoint's, or the architecture's
  std::string file;                  ///< archive of torch.export, for the type `exported` alone
  int output = 0;                    ///< which of its outputs gives the logits
  ArchitectureOverrides overrides;   ///< over those of the checkpoint
};

/// Builds the graph, and fills it from the checkpoint or from the formula.
///
/// @throws ConfigError no such architecture, an option out of range, a class list of another length
/// @throws SystemError the checkpoint cannot be read or is of another network
Network load_network(const NetworkOptions& options);

/// @return the preprocessing that a public checkpoint was trained with, as far as its architecture,
///         class count and age tell; empty where they do not
std::string guess_preset(const Checkpoint& checkpoint, std::string_view architecture,
                         int num_classes);

}  // namespace cfp
