// Saliency tubes: where in space and time a layer's found channels look.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "stages/core/explain_options.h"
#include "stages/core/pyramid.h"
#include "stages/network/walks.h"
#include "stages/pyramid/plan.h"
#include "stages/pyramid/routing.h"

namespace cfp {

/// @return by node: the values that tubes of a kind need besides what a scorer does
std::vector<bool> values_of_tubes(const NetworkGraph& graph, const PyramidPlan& plan,
                                  TubeKind kind);

/// Collects the excitation relevance of each layer's found channels (docs/method.md, section 5)
/// while a walk passes.
class ExcitationTubes {
 public:
  ExcitationTubes(const PyramidPlan& plan, std::size_t clips);

  /// Tells which channels of a tensor are found in a clip.
  using Found = std::function<const ChannelRelevance&(std::size_t clip, NodeId entering)>;

  /// Takes from a node what the tubes at it need.
  ///
  /// @param values  R of the node's value [B, C, T, H, W]
  void add(NodeId id, const at::Tensor& values, const Found& found);

  /// @return by clip, by layer of the plan; [t, h, w] of the tensor that enters the layer, for a
  ///         classifier behind an average the tensor that is averaged
  std::vector<std::vector<Tube>> take() { return std::move(tubes_); }

 private:
  const PyramidPlan& plan_;
  std::vector<std::vector<Tube>> tubes_;
};

/// Tubes of which layers, and over which found channels.
struct TubeRequest {
  const PyramidPlan* plan;
  const std::vector<std::vector<NodeRelevance>>* relevance;  ///< by clip, by node
};

/// Excitation tubes for found channels that another scorer has told, by one walk for all requests.
///
/// @return one a request, each as ExcitationTubes::take()
std::vector<std::vector<std::vector<Tube>>> excitation_tubes(const Executor& executor,
                                                             const Trace& trace,
                                                             std::span<const int> classes,
                                                             const BoundedInput& input,
                                                             std::span<const TubeRequest> requests);

/// Sums max(S_j, 0) * max(X_j, 0) over each layer's found channels j.
///
/// @return as ExcitationTubes::take()
std::vector<std::vector<Tube>> weighted_tubes(
    const Trace& trace, const PyramidPlan& plan,
    const std::vector<std::vector<NodeRelevance>>& relevance);

}  // namespace cfp
