// Backward walks through a trace: the gradient of a target, and its positive relevance.
//
// Both visit the nodes from the class towards the input, each once, when all its readers have been
// visited, and go no further than the values asked for.
#pragma once

#include <functional>
#include <map>
#include <span>
#include <vector>

#include "stages/network/bounded_input.h"
#include "stages/network/executor.h"
#include "stages/network/tensor_kernels.h"

namespace cfp {

/// What a walk visits and what the forward pass must keep for it; all by node.
struct WalkPlan {
  std::vector<bool> on_path;  ///< the gradient at this node's value is computed
  std::vector<bool> keep;     ///< the forward pass keeps this value
};

/// @param wanted by node: the values whose gradient is wanted; nodes that only feed gates have none
///               and are never visited
WalkPlan plan_walk(const NetworkGraph& graph, const std::vector<bool>& wanted);

/// What the walk knows of a node when it comes to it.
struct NodeGradient : OutputGradient {
  /// Scores [B, C_out, C_in] of the layers that read this value and whose scores were wanted.
  std::map<NodeId, at::Tensor> scores;
};

/// Which kernels' scores the walk is to find on its way, by clip; asked of layers that give them
/// with the gradient, when they have been visited. Empty: none.
using ScoresWanted = std::function<KernelMasks(NodeId)>;

/// Called with what relu_gradient() found at a node. In an Add node `kernels` is the first addend
/// and `addend` the second. The gradient lives until the call returns.
using GradientVisitor = std::function<void(NodeId, const NodeGradient&)>;

/// Walks the gradient of sum over k of weights[b, k] * logits[b, k], clip by clip.
///
/// @param weights [B, classes] a one-hot row explains a logit
void walk_gradient(const Executor& executor, const Trace& trace, const at::Tensor& weights,
                   const WalkPlan& plan, const GradientVisitor& visit,
                   const ScoresWanted& wanted = {});

/// How relevance went through one layer: what its edges are made of. Either `weights` and `seen`,
/// or the scores themselves.
struct LayerExcitation {
  at::Tensor relevance;  ///< R at the layer's own output, without a shortcut's share
  at::Tensor share;      ///< s = R / z+ there, 0 where z+ is 0
  const Convolution* weights = nullptr;  ///< W+
  at::Tensor seen;                       ///< x+ [B, C_in, T, H, W]
  at::Tensor scores;  ///< [B, C_out, C_in]: s times the products of weights and x, summed up
};

/// What a walk of positive relevance tells. Tensors live until the call returns.
struct ExcitationVisitor {
  std::function<void(NodeId, const at::Tensor&)> value;              ///< R of a node's value
  std::function<void(NodeId, const AddendRelevance&)> addends = {};  ///< of a sum's two inputs
  std::function<void(NodeId, const LayerExcitation&)> layer = {};
  /// Which kernels' scores are wanted, by clip, of a layer that reads the clip itself, whose own
  /// output has this relevance; absent or empty: none.
  std::function<KernelMasks(NodeId, const at::Tensor& relevance)> scores_wanted = {};
};

/// Walks positive relevance from one class a clip; relevance sums to 1 where it enters the
/// classifier.
///
/// Convolutions share by positive weights and inputs (z+), pools by value, additions by positive
/// parts; the first layer, whose input is signed, by the z^B rule. docs/method.md, "excitation".
///
/// @param classes one class index a clip
/// @throws SystemError a node that relevance cannot be led through; names it and its operation
void walk_excitation(const Executor& executor, const Trace& trace, std::span<const int> classes,
                     const BoundedInput& input, const WalkPlan& plan,
                     const ExcitationVisitor& visit);

}  // namespace cfp
