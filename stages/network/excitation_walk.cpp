#include <algorithm>

#include <ATen/TensorOperators.h>
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

bool is_average(const Op& op) {
  return std::holds_alternative<AvgPool3d>(op) || std::holds_alternative<AdaptiveAverage>(op) ||
         std::holds_alternative<GlobalAverage>(op);
}

bool scales_values(const Op& op) {
  return std::holds_alternative<BatchNorm3d>(op) || std::holds_alternative<Pointwise>(op) ||
         std::holds_alternative<Multiply>(op);
}

class ExcitationWalk {
 public:
  ExcitationWalk(const Executor& executor, const Trace& trace, const BoundedInput& input,
                 const WalkPlan& plan, const ExcitationVisitor& visit)
      : executor_(executor),
        graph_(executor.graph()),
        values_(trace.values),
        input_(input),
        plan_(plan),
        visit_(visit),
        non_negative_(non_negative_values(graph_)),
        relevance_(index(graph_.size())) {
    has_standing_norm_ = std::ranges::any_of(graph_.nodes(), [](const Node& node) {
      return std::holds_alternative<BatchNorm3d>(node.op);
    });
  }

  void run(std::span<const int> classes) {
    const NodeId classifier = enter_classifier(classes);
    for (NodeId id = classifier; id >= 0; --id) {
      if (!plan_.on_path[index(id)]) continue;
      if (id != classifier) {
        visit_.value(id, relevance_[index(id)]);
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
    if (visit_.layer) visit_.layer(classifier, {z * share, share, &positive, x, {}});
    give(input, x * positive.input_gradient(share, size_of(x)));
    return classifier;
  }

  /// Adds relevance to a node's value; in place where nobody else holds it.
  void give(NodeId id, at::Tensor relevance) {
    if (!plan_.on_path[index(id)]) return;
    at::Tensor& slot = relevance_[index(id)];
    const bool alone = relevance.use_count() == 1 && relevance.storage().use_count() == 1;
    if (slot.defined()) relevance = alone ? relevance.add_(slot) : relevance + slot;
    slot = std::move(relevance);
  }

  void step(NodeId id) {
    const Node& node = graph_.node(id);
    // The last values asked for: what enters them was not kept.
    const bool ends = std::ranges::none_of(
        node.inputs, [&](NodeId input) { return bool{plan_.on_path[index(input)]}; });
    if (ends) return;
    at::Tensor relevance = std::move(relevance_[index(id)]);
    const at::Tensor& y = values_[index(id)];
    const at::Tensor& x = values_[index(node.inputs[0])];
    if (std::holds_alternative<Conv3d>(node.op)) {
      if (node.inputs.size() == 2) {
        AddendRelevance split = split_relevance(relevance, y, values_[index(node.inputs[1])]);
        if (visit_.addends) visit_.addends(id, split);
        give(node.inputs[1], std::move(split.residual));
        relevance = std::move(split.first);
      }
      through_conv(id, relevance);
    } else if (std::holds_alternative<Add>(node.op)) {
      AddendRelevance split = split_relevance(relevance, y, values_[index(node.inputs[1])]);
      if (visit_.addends) visit_.addends(id, split);
      give(node.inputs[0], std::move(split.first));
      give(node.inputs[1], std::move(split.residual));
    } else if (is_average(node.op)) {
      const at::Tensor ratio = relevance_ratio(relevance, positive_mean(id));
      give(node.inputs[0],
           positive_product(x, executor_.input_gradient(id, 0, ratio, values_, {}), {}));
    } else {
      // The rest moves every value to where it came from: a maximum, a channel, a ReLU; what scales
      // each value by itself passes relevance through as it is.
      if (scales_values(node.op)) {
        give(node.inputs[0], std::move(relevance));
        return;
      }
      for (std::size_t i = 0; i < node.inputs.size(); ++i) {
        if (!plan_.on_path[index(node.inputs[i])]) continue;
        give(node.inputs[i], executor_.input_gradient(id, i, relevance, values_, {}));
      }
    }
  }

  /// The average that a pooling node takes, of the positive part of its input: as with z+, what is
  /// negative has no share, or the shares of the rest would sum to more than 1.
  at::Tensor positive_mean(NodeId id) const {
    const Node& node = graph_.node(id);
    if (non_negative_[index(node.inputs[0])]) return values_[index(id)].clone();
    const at::Tensor x = values_[index(node.inputs[0])].clamp_min(0);
    if (const auto* pool = std::get_if<AvgPool3d>(&node.op)) return avg_pool(x, *pool);
    if (const auto* pool = std::get_if<AdaptiveAverage>(&node.op))
      return adaptive_average(x, *pool);
    return x.mean({2, 3, 4}, true);
  }

  /// @param relevance at the convolution's own output, without what a shortcut added
  void through_conv(NodeId id, const at::Tensor& relevance) {
    const NodeId input = graph_.node(id).inputs[0];
    if (!plan_.on_path[index(input)]) return;
    const at::Tensor& x = values_[index(input)];
    if (is_part_of_clip(input)) {
      const KernelMasks wanted =
          visit_.scores_wanted ? visit_.scores_wanted(id, relevance) : KernelMasks{};
      BoundedRelevance below =
          input_.lead_back(executor_, id, relevance, own_output(id), x, wanted);
      if (visit_.layer) visit_.layer(id, {relevance, below.share, nullptr, {}, below.scores});
      give(input, std::move(below.relevance));
      return;
    }
    const Convolution& positive = executor_.positive_layer(id);
    const at::Tensor seen = non_negative_[index(input)] ? x : x.clamp_min(0);
    const at::Tensor share = relevance_ratio(relevance, positive.forward(seen, {}, false));
    if (visit_.layer) visit_.layer(id, {relevance, share, &positive, seen, {}});
    at::Tensor& slot = relevance_[index(input)];
    slot = positive_product(x, positive.input_gradient(share, size_of(x)), slot);
  }

  /// Whether a value is the clip or some of its frames, rows or columns: signed, but bounded.
  bool is_part_of_clip(NodeId id) const {
    while (std::holds_alternative<SelectPositions>(graph_.node(id).op)) {
      id = graph_.node(id).inputs[0];
    }
    return std::holds_alternative<Input>(graph_.node(id).op);
  }

  /// A convolution's output before its addition and ReLU, right wherever relevance is; undefined
  /// where the trace does not tell.
  at::Tensor own_output(NodeId id) const {
    const Node& node = graph_.node(id);
    // Below a closed ReLU there is relevance only if a BatchNorm that stands alone let it through.
    if (std::get<Conv3d>(node.op).relu && has_standing_norm_) return {};
    const at::Tensor& y = values_[index(id)];
    return node.inputs.size() == 2 ? y - values_[index(node.inputs[1])] : y;
  }

  const Executor& executor_;
  const NetworkGraph& graph_;
  const std::vector<at::Tensor>& values_;
  const BoundedInput& input_;
  const WalkPlan& plan_;
  const ExcitationVisitor& visit_;
  const std::vector<bool> non_negative_;
  bool has_standing_norm_ = false;
  std::vector<at::Tensor> relevance_;
};

}  // namespace

void walk_excitation(const Executor& executor, const Trace& trace, std::span<const int> classes,
                     const BoundedInput& input, const WalkPlan& plan,
                     const ExcitationVisitor& visit) {
  const c10::InferenceMode guard;
  ExcitationWalk(executor, trace, input, plan, visit).run(classes);
}

}  // namespace cfp
