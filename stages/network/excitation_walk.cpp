#include <ATen/TensorOperators.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros_like.h>
#include <c10/core/InferenceMode.h>
#include <fmt/format.h>

#include "stages/core/errors.h"
#include "stages/network/walks.h"

namespace cfp {
namespace {

std::size_t index(NodeId id) { return static_cast<std::size_t>(id); }

Triple size_of(const at::Tensor& x) {
  return {static_cast<int>(x.size(2)), static_cast<int>(x.size(3)), static_cast<int>(x.size(4))};
}

class ExcitationWalk {
 public:
  ExcitationWalk(const Executor& executor, const Trace& trace, const InputBounds& bounds,
                 const WalkPlan& plan)
      : executor_(executor),
        graph_(executor.graph()),
        values_(trace.values),
        bounds_(bounds),
        plan_(plan),
        relevance_(index(graph_.size())) {}

  void run(std::span<const int> classes, const RelevanceVisitor& visit) {
    const NodeId classifier = enter_classifier(classes);
    for (NodeId id = classifier; id >= 0; --id) {
      if (!plan_.on_path[index(id)]) continue;
      if (id != classifier) {
        visit(id, relevance_[index(id)]);
        step(id);
      }
      relevance_[index(id)].reset();
    }
  }

 private:
  /// From one class a clip to the tensor that enters the classifier: R is proportional to
  /// max(w, 0) * x at every position and sums to 1.
  NodeId enter_classifier(std::span<const int> classes) {
    NodeId classifier = graph_.output();
    if (std::holds_alternative<GlobalAverage>(graph_.node(classifier).op)) {
      classifier = graph_.node(classifier).inputs[0];
    }
    const Node& node = graph_.node(classifier);
    if (!is_layer(node)) {
      throw SystemError(fmt::format(
          "cannot lead relevance through the end of the network: node '{}' is a {}, not a layer",
          node.name, op_name(node.op)));
    }
    const NodeId input = node.inputs[0];
    if (!plan_.on_path[index(input)]) return classifier;
    const at::Tensor x = values_[index(input)].clamp_min(0);
    const Convolution& positive = executor_.positive_layer(classifier);
    const at::Tensor z = positive.forward(x, {}, false);
    at::Tensor share = at::zeros_like(z);
    for (std::size_t b = 0; b < classes.size(); ++b) {
      const auto clip = static_cast<std::int64_t>(b);
      const double total = z[clip][classes[b]].sum().item<double>();
      if (total > 0) share[clip][classes[b]].fill_(1 / total);
    }
    give(input, x * positive.input_gradient(share, size_of(x)));
    return classifier;
  }

  /// Adds relevance to a node's value.
  void give(NodeId id, const at::Tensor& relevance) {
    if (!plan_.on_path[index(id)]) return;
    at::Tensor& slot = relevance_[index(id)];
    slot = slot.defined() ? slot + relevance : relevance;
  }

  void step(NodeId id) {
    const Node& node = graph_.node(id);
    if (node.inputs.empty()) return;
    at::Tensor relevance = relevance_[index(id)];
    const at::Tensor& y = values_[index(id)];
    const at::Tensor& x = values_[index(node.inputs[0])];
    if (std::holds_alternative<Conv3d>(node.op)) {
      if (node.inputs.size() == 2) {
        AddendRelevance split = split_relevance(relevance, y, values_[index(node.inputs[1])]);
        give(node.inputs[1], split.residual);
        relevance = split.first;
      }
      if (plan_.on_path[index(node.inputs[0])]) give(node.inputs[0], through_conv(id, relevance));
    } else if (std::holds_alternative<Add>(node.op)) {
      const AddendRelevance split = split_relevance(relevance, y, values_[index(node.inputs[1])]);
      give(node.inputs[0], split.first);
      give(node.inputs[1], split.residual);
    } else if (std::holds_alternative<AvgPool3d>(node.op) ||
               std::holds_alternative<GlobalAverage>(node.op)) {
      const at::Tensor ratio = relevance_ratio(relevance, y.clone());
      give(node.inputs[0],
           positive_product(x, executor_.input_gradient(id, 0, ratio, values_, {})));
    } else {
      // The rest moves every value to where it came from: a maximum, a channel, a ReLU; a BatchNorm
      // that stands alone passes relevance through as it is.
      if (std::holds_alternative<BatchNorm3d>(node.op)) {
        give(node.inputs[0], relevance);
        return;
      }
      for (std::size_t i = 0; i < node.inputs.size(); ++i) {
        if (!plan_.on_path[index(node.inputs[i])]) continue;
        give(node.inputs[i], executor_.input_gradient(id, i, relevance, values_, {}));
      }
    }
  }

  at::Tensor through_conv(NodeId id, const at::Tensor& relevance) {
    const NodeId input = graph_.node(id).inputs[0];
    const at::Tensor& x = values_[index(input)];
    if (std::holds_alternative<Input>(graph_.node(input).op)) return through_first(id, relevance);
    const Convolution& positive = executor_.positive_layer(id);
    const at::Tensor share =
        relevance_ratio(relevance, positive.forward(x.clamp_min(0), {}, false));
    return positive_product(x, positive.input_gradient(share, size_of(x)));
  }

  /// The z^B rule: x lies in [low, high] and may be negative.
  at::Tensor through_first(NodeId id, const at::Tensor& relevance) {
    const at::Tensor& x = values_[0];
    const Convolution& conv = executor_.layer(id);
    const auto plain = conv.with_weight(conv.weight());
    const auto positive = conv.with_weight(conv.weight().clamp_min(0));
    const auto negative = conv.with_weight(conv.weight().clamp_max(0));
    const at::Tensor low = bound(bounds_.low, x);
    const at::Tensor high = bound(bounds_.high, x);
    const at::Tensor z = plain->forward(x, {}, false) - positive->forward(low, {}, false) -
                         negative->forward(high, {}, false);
    const at::Tensor share = relevance_ratio(relevance, z);
    const Triple size = size_of(x);
    return x * plain->input_gradient(share, size) - low * positive->input_gradient(share, size) -
           high * negative->input_gradient(share, size);
  }

  at::Tensor bound(const std::vector<double>& values, const at::Tensor& x) const {
    return executor_.to_layout(
        at::tensor(values, at::kDouble).view({1, -1, 1, 1, 1}).expand_as(x));
  }

  const Executor& executor_;
  const NetworkGraph& graph_;
  const std::vector<at::Tensor>& values_;
  const InputBounds& bounds_;
  const WalkPlan& plan_;
  std::vector<at::Tensor> relevance_;
};

}  // namespace

void walk_excitation(const Executor& executor, const Trace& trace, std::span<const int> classes,
                     const InputBounds& bounds, const WalkPlan& plan,
                     const RelevanceVisitor& visit) {
  const c10::InferenceMode guard;
  ExcitationWalk(executor, trace, bounds, plan).run(classes, visit);
}

}  // namespace cfp
