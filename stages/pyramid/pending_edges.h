// Edges on their way: a walk from the class comes to a layer's kernels first and to the tensor that
// enters it later; only then is it known which of its channels are found. Private to this room.
#pragma once

#include <vector>

#include "stages/pyramid/edges.h"
#include "stages/pyramid/found_relevance.h"

namespace cfp {

class PendingEdges {
 public:
  /// @param found  gets the edges; outlives this
  PendingEdges(const TracedBatch& batch, FoundRelevance& found);

  /// The kernels of a layer are known, and s at its output.
  ///
  /// @param s  [B, C_out, T', H', W']; not read where scores() will be told
  void remember(NodeId layer, std::size_t clip, const Convolution& weights, const at::Tensor& s);

  /// Scores of all kernels and channels of a layer, where the walk has found them on its way.
  /// @param all [B, C_out, C_in]
  void scores(NodeId layer, const at::Tensor& all);

  /// All readers of node `id` have been remembered, and it is known which of its channels are
  /// found: gives the readers their edges.
  ///
  /// @param value     [B, C, T, H, W] of the node
  /// @param positive  whether max(value, 0) is what the readers are taken to have seen
  void finish(NodeId id, std::size_t clip, const at::Tensor& value, bool positive);

 private:
  struct Pending {
    EdgeInput input;
    const Convolution* weights = nullptr;
  };

  /// Of a node, what any request with edges finds.
  std::vector<std::int64_t> channels_of(NodeId id, std::size_t clip) const;
  std::vector<Edge> edges_of(const PyramidRequest& request, NodeId reader, const at::Tensor& scores,
                             const EdgeInput& all, const EdgeInput& own) const;

  const TracedBatch& batch_;
  FoundRelevance& found_;
  std::vector<std::vector<Pending>> pending_;  ///< by clip, by node
  std::vector<at::Tensor> scores_;             ///< by node
};

}  // namespace cfp
