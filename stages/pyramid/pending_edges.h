// Edges on their way: a walk from the class comes to a layer's kernels first and to the tensor that
// enters it later; only then is it known which of its channels are found. Private to this room.
#pragma once

#include <vector>

#include "stages/core/explain_options.h"
#include "stages/network/executor.h"
#include "stages/pyramid/edges.h"
#include "stages/pyramid/plan.h"
#include "stages/pyramid/routing.h"

namespace cfp {

class PendingEdges {
 public:
  /// @param all_pairs  keep the signed scores of all pairs, and not the edges of the pyramid alone
  PendingEdges(const NetworkGraph& graph, const PyramidPlan& plan, const ExplainOptions& options,
               std::size_t clips, bool all_pairs);

  /// The found kernels of a layer, and s at its output.
  ///
  /// @param kernels  ascending
  /// @param s        [B, C_out, T', H', W']; not read where scores() will be told
  void remember(NodeId layer, std::size_t clip, const Convolution& weights,
                std::vector<std::int64_t> kernels, const at::Tensor& s);

  /// Scores of all kernels and channels of a layer, where the walk has found them on its way.
  /// @param all [B, C_out, C_in]
  void scores(NodeId layer, const at::Tensor& all);

  /// All readers of node `id` have been remembered, and it is known which of its channels are
  /// found.
  ///
  /// @param value     [B, C, T, H, W] of the node
  /// @param positive  whether max(value, 0) is what the readers are taken to have seen
  /// @param relevance of the clip, by node; gets the edges of the readers
  void finish(NodeId id, std::size_t clip, const at::Tensor& value, bool positive,
              std::vector<NodeRelevance>& relevance);

 private:
  struct Pending {
    EdgeInput input;
    const Convolution* weights = nullptr;
  };

  const NetworkGraph& graph_;
  const PyramidPlan& plan_;
  const ExplainOptions& options_;
  const bool all_pairs_;
  std::vector<std::vector<Pending>> pending_;  ///< by clip, by node
  std::vector<at::Tensor> scores_;             ///< by node
};

}  // namespace cfp
