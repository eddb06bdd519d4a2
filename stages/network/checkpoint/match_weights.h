// From a checkpoint's tensors to exactly the weights that a graph asks for.
#pragma once

#include <string>
#include <vector>

#include "stages/network/checkpoint/checkpoint.h"
#include "stages/network/network.h"

namespace cfp {

/// How the tensors of a checkpoint differ from those of a graph.
struct WeightMismatch {
  std::vector<std::string> missing;      ///< the graph wants them
  std::vector<std::string> unexpected;   ///< the graph has no place for them
  std::vector<std::string> other_shape;  ///< `fc.weight is 101x2048, the network has 400x2048`

  bool empty() const { return missing.empty() && unexpected.empty() && other_shape.empty(); }
};

/// @param checkpoint  with normalised names
WeightMismatch compare_weights(const Checkpoint& checkpoint, const NetworkGraph& graph);

/// @return what probably went wrong, as whole sentences; empty where nothing comes to mind
std::string likely_cause(const Checkpoint& checkpoint, const NetworkGraph& graph);

/// Takes the weights of a graph from a checkpoint: every tensor by name and shape, none left over.
///
/// @return float32 weights; those that lie in the file as such stay there
/// @throws SystemError a tensor is missing, unexpected or of another shape (lists the first eight
/// of
///         each and the likely cause), or holds a value that is not finite
Weights match_weights(const Checkpoint& checkpoint, const NetworkGraph& graph);

/// @return FNV-1a over names, shapes and bytes, in the order of the names
std::uint64_t hash_weights(const Weights& weights);

}  // namespace cfp
