#include <ATen/TensorOperators.h>
#include <c10/core/InferenceMode.h>

#include "stages/network/walks.h"

namespace cfp {
namespace {

std::size_t index(NodeId id) { return static_cast<std::size_t>(id); }

bool has_relu(const Op& op) {
  if (const auto* conv = std::get_if<Conv3d>(&op)) return conv->relu;
  if (const auto* norm = std::get_if<BatchNorm3d>(&op)) return norm->relu;
  if (const auto* add = std::get_if<Add>(&op)) return add->relu;
  return std::holds_alternative<Relu>(op);
}

/// Whether a node's value is a sum of two of which the second is its second input.
bool is_sum(const Node& node) {
  return std::holds_alternative<Add>(node.op) ||
         (std::holds_alternative<Conv3d>(node.op) && node.inputs.size() == 2);
}

}  // namespace

WalkPlan plan_walk(const NetworkGraph& graph, const std::vector<bool>& wanted) {
  WalkPlan plan{wanted, wanted};
  const std::vector<bool> routed = routed_nodes(graph);
  for (NodeId id = 0; id < graph.size(); ++id) {
    if (!routed[index(id)]) {
      plan.on_path[index(id)] = false;  // no gradient reaches what only makes a gate
      continue;
    }
    const Node& node = graph.node(id);
    for (std::size_t i = 0; i < node.inputs.size(); ++i) {
      const bool leads = carries(node.op, i) && plan.on_path[index(node.inputs[i])];
      if (leads) plan.on_path[index(id)] = true;
    }
    if (!plan.on_path[index(id)]) continue;
    plan.keep[index(id)] = true;
    const bool needs_second = is_sum(node) || std::holds_alternative<Multiply>(node.op);
    if (needs_second) plan.keep[index(node.inputs[1])] = true;
  }
  return plan;
}

void walk_gradient(const Executor& executor, const Trace& trace, const at::Tensor& weights,
                   const WalkPlan& plan, const GradientVisitor& visit, const ScoresWanted& wanted) {
  const c10::InferenceMode guard;
  const NetworkGraph& graph = executor.graph();
  std::vector<at::Tensor> gradients(index(graph.size()));
  std::vector<std::map<NodeId, at::Tensor>> scores(gradients.size());
  gradients[index(graph.output())] =
      executor.to_layout(weights.view({weights.size(0), weights.size(1), 1, 1, 1}));
  for (NodeId id = graph.output(); id >= 0; --id) {
    if (!plan.on_path[index(id)]) continue;
    const Node& node = graph.node(id);
    const bool sum = is_sum(node);
    const NodeGradient output{
        relu_gradient(std::move(gradients[index(id)]), trace.values[index(id)],
                      sum ? trace.values[index(node.inputs[1])] : at::Tensor(), has_relu(node.op)),
        std::move(scores[index(id)])};
    visit(id, output);
    for (std::size_t i = 0; i < node.inputs.size(); ++i) {
      const NodeId input = node.inputs[i];
      if (!plan.on_path[index(input)] || !carries(node.op, i)) continue;
      at::Tensor& slot = gradients[index(input)];
      const bool scored =
          wanted && i == 0 && is_layer(node) && executor.layer(id).scores_with_gradient();
      if (const KernelMasks masks = scored ? wanted(id) : KernelMasks{}; !masks.empty()) {
        auto both = executor.layer(id).gradient_and_scores(output.gradient,
                                                           trace.values[index(input)], slot, masks);
        slot = both.gradient;
        scores[index(input)][id] = both.scores;
        continue;
      }
      slot = executor.input_gradient(id, i, output.gradient, trace.values, slot);
      // Gradients are overwritten when their node is visited, so two addends may not share one.
      if (std::holds_alternative<Add>(node.op) && slot.is_same(output.gradient) && i == 0) {
        slot = slot.clone();
      }
    }
    gradients[index(id)].reset();
  }
}

}  // namespace cfp
