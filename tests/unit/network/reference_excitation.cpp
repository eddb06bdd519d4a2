#include "tests/unit/network/reference_excitation.h"

#include <stdexcept>

#include <ATen/TensorOperators.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros_like.h>

namespace cfp::test {
namespace {

std::size_t index(NodeId id) { return static_cast<std::size_t>(id); }

/// a / b where b > 0, else 0.
at::Tensor quotient(const at::Tensor& a, const at::Tensor& b) {
  return at::where(b > 0, a / b, at::zeros_like(b));
}

/// A value apart from the network's own history, so that one step can be differentiated alone.
at::Tensor leaf(const at::Tensor& x) { return x.detach().clone().set_requires_grad(true); }

at::Tensor per_channel(const at::Tensor& values, const at::Tensor& like) {
  return values.view({1, -1, 1, 1, 1}).expand_as(like);
}

/// What one node passes on to each of its inputs, given R at its value.
class Rules {
 public:
  Rules(const Weights& weights, const ReferenceNode& node, const std::string& name,
        std::vector<at::Tensor> in, bool reads_input, at::Tensor low, at::Tensor high,
        at::Tensor relevance)
      : weights_(weights),
        node_(node),
        name_(name),
        in_(std::move(in)),
        reads_input_(reads_input),
        low_(std::move(low)),
        high_(std::move(high)),
        relevance_(std::move(relevance)) {}

  using Parts = std::vector<at::Tensor>;

  Parts operator()(const Input&) { return {}; }
  Parts operator()(const Conv3d& op) {
    const at::Tensor weight = reference_weight(weights_, name_ + ".weight");
    at::Tensor own = relevance_;
    Parts parts;
    if (node_.second.defined()) {
      const Parts split = by_positive_parts();
      own = split[0];
      parts = {at::Tensor(), split[1]};
    } else {
      parts = {at::Tensor()};
    }
    parts[0] = reads_input_ ? bounded(op, weight, own) : positive(op, weight, own);
    return parts;
  }
  Parts operator()(const Add&) { return by_positive_parts(); }
  Parts operator()(const BatchNorm3d&) { return {relevance_}; }
  Parts operator()(const Relu&) { return {relevance_}; }
  Parts operator()(const MaxPool3d& op) {
    const at::Tensor x = leaf(in_[0]);
    return {reference_gradient(reference_max_pool(op, x), x, relevance_)};
  }
  Parts operator()(const AvgPool3d& op) {
    return by_value([&](const at::Tensor& x) { return reference_avg_pool(op, x); });
  }
  Parts operator()(const GlobalAverage&) {
    return by_value([](const at::Tensor& x) { return x.mean({2, 3, 4}, true); });
  }
  Parts operator()(const Concat&) {
    Parts parts;
    std::int64_t offset = 0;
    for (const at::Tensor& x : in_) {
      parts.push_back(relevance_.narrow(1, offset, x.size(1)));
      offset += x.size(1);
    }
    return parts;
  }
  Parts operator()(const AdaptiveAverage& op) {
    return by_value([&](const at::Tensor& x) { return reference_adaptive_average(op, x); });
  }
  Parts operator()(const SelectChannels& op) { return collected(1, op.source); }
  Parts operator()(const SelectPositions& op) { return collected(op.axis + 2, op.source); }
  Parts operator()(const Pad& op) {
    at::Tensor part = relevance_;
    for (std::int64_t axis = 0; axis < 3; ++axis) {
      part = part.narrow(axis + 2, op.padding.before[axis], in_[0].size(axis + 2));
    }
    return {part};
  }
  Parts operator()(const Spread& op) {
    at::Tensor part = relevance_;
    for (std::int64_t axis = 0; axis < 3; ++axis) {
      part = part.slice(axis + 2, std::nullopt, std::nullopt, op.step[axis]);
    }
    return {part};
  }
  Parts operator()(const Pointwise&) { return {relevance_}; }
  Parts operator()(const Multiply&) { return {relevance_, at::Tensor()}; }
  Parts operator()(const Linear&) { throw std::logic_error("a classifier inside the network"); }

 private:
  /// Each slice gets what all those read from it have.
  Parts collected(std::int64_t dim, const std::vector<int>& source) const {
    at::Tensor sum = at::zeros_like(in_[0]);
    for (std::size_t i = 0; i < source.size(); ++i) {
      sum.narrow(dim, source[i], 1) += relevance_.narrow(dim, static_cast<std::int64_t>(i), 1);
    }
    return {sum};
  }
  /// R splits between two addends by their positive parts.
  Parts by_positive_parts() const {
    const at::Tensor first = node_.first.detach().clamp_min(0);
    const at::Tensor second = node_.second.detach().clamp_min(0);
    const at::Tensor share = quotient(relevance_, first + second);
    return {first * share, second * share};
  }

  /// Averages hand R on by value; what is negative has no share.
  template <class Average>
  Parts by_value(const Average& average) const {
    const at::Tensor x = leaf(in_[0].clamp_min(0));
    const at::Tensor y = average(x);
    return {x.detach() * reference_gradient(y, x, quotient(relevance_, y.detach()))};
  }

  at::Tensor positive(const Conv3d& op, const at::Tensor& weight, const at::Tensor& own) const {
    const at::Tensor x = leaf(in_[0].clamp_min(0));
    const at::Tensor z = reference_convolution(op, x, weight.clamp_min(0));
    return x.detach() * reference_gradient(z, x, quotient(own, z.detach()));
  }

  /// The z^B rule: z = W x - W+ low - W- high, and each term gets its share.
  at::Tensor bounded(const Conv3d& op, const at::Tensor& weight, const at::Tensor& own) const {
    const at::Tensor x = leaf(in_[0]);
    const at::Tensor low = leaf(per_channel(low_, x)), high = leaf(per_channel(high_, x));
    const at::Tensor z = reference_convolution(op, x, weight) -
                         reference_convolution(op, low, weight.clamp_min(0)) -
                         reference_convolution(op, high, weight.clamp_max(0));
    const at::Tensor share = quotient(own, z.detach());
    at::Tensor result = at::zeros_like(x);
    for (const at::Tensor& term : {x, low, high}) {
      result = result + term.detach() * reference_gradient(z, term, share);
    }
    return result.detach();
  }

  const Weights& weights_;
  const ReferenceNode& node_;
  const std::string& name_;
  Parts in_;
  bool reads_input_;
  at::Tensor low_, high_, relevance_;
};

/// R at the tensor entering the classifier: proportional to max(w, 0) * x, sum 1.
at::Tensor entering(const Node& classifier, const Weights& weights, const at::Tensor& value,
                    const std::vector<int>& classes) {
  const at::Tensor weight = reference_weight(weights, classifier.name + ".weight").flatten(1);
  const at::Tensor x = value.detach().clamp_min(0);
  at::Tensor result = at::zeros_like(x);
  for (std::size_t b = 0; b < classes.size(); ++b) {
    const auto clip = static_cast<std::int64_t>(b);
    const at::Tensor share = x[clip] * weight[classes[b]].clamp_min(0).view({-1, 1, 1, 1});
    const double total = share.sum().item<double>();
    if (total > 0) result[clip].copy_(share / total);
  }
  return result;
}

}  // namespace

at::Tensor positive_response(const Conv3d& op, const at::Tensor& weight, const at::Tensor& x) {
  return reference_convolution(op, x.clamp_min(0), weight.clamp_min(0));
}

std::vector<at::Tensor> reference_excitation(const NetworkGraph& graph, const Weights& weights,
                                             const std::vector<ReferenceNode>& nodes,
                                             const std::vector<int>& classes, const at::Tensor& low,
                                             const at::Tensor& high) {
  std::vector<at::Tensor> relevance(nodes.size());
  NodeId classifier = graph.output();
  if (std::holds_alternative<GlobalAverage>(graph.node(classifier).op)) --classifier;
  const NodeId last = graph.node(classifier).inputs[0];
  relevance[index(last)] =
      entering(graph.node(classifier), weights, nodes[index(last)].value, classes);
  for (NodeId id = last; id > 0; --id) {
    const Node& node = graph.node(id);
    if (!relevance[index(id)].defined()) continue;  // it only feeds a gate
    std::vector<at::Tensor> in;
    for (const NodeId input : node.inputs) in.push_back(nodes[index(input)].value.detach());
    const auto parts = std::visit(Rules(weights, nodes[index(id)], node.name, std::move(in),
                                        node.inputs[0] == 0, low, high, relevance[index(id)]),
                                  node.op);
    for (std::size_t i = 0; i < parts.size(); ++i) {
      if (!parts[i].defined()) continue;  // a gate
      at::Tensor& slot = relevance[index(node.inputs[i])];
      slot = slot.defined() ? slot + parts[i] : parts[i].detach();
    }
  }
  return relevance;
}

}  // namespace cfp::test
