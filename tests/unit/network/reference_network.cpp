#include "tests/unit/network/reference_network.h"

#include <cmath>
#include <limits>
#include <numbers>
#include <stdexcept>

#include <ATen/TensorOperators.h>
#include <ATen/ops/adaptive_avg_pool3d.h>
#include <ATen/ops/avg_pool3d.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/conv3d.h>
#include <ATen/ops/erf.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/max_pool3d.h>
#include <ATen/ops/tanh.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <torch/csrc/autograd/autograd.h>

namespace cfp::test {
namespace {

std::array<std::int64_t, 3> longs(const Triple& t) { return {t[0], t[1], t[2]}; }

at::Tensor padded(const at::Tensor& x, const Padding& p, double fill) {
  const std::array<std::int64_t, 6> sizes = {p.before[2], p.after[2],  p.before[1],
                                             p.after[1],  p.before[0], p.after[0]};
  return at::constant_pad_nd(x, sizes, fill);
}

at::Tensor normalised(const at::Tensor& x, const BatchNorm3d& op, const Weights& weights,
                      const std::string& name) {
  const auto tensor = [&](const char* suffix) {
    return reference_weight(weights, name + suffix).view({1, -1, 1, 1, 1});
  };
  return (x - tensor(".running_mean")) / (tensor(".running_var") + op.eps).sqrt() *
             tensor(".weight") +
         tensor(".bias");
}

/// Computes one node; `in` are the values of its inputs.
class NodeRule {
 public:
  NodeRule(const Node& node, const Weights& weights, std::vector<at::Tensor> in)
      : node_(node), weights_(weights), in_(std::move(in)) {}

  ReferenceNode run() {
    ReferenceNode result;
    result.first = std::visit(*this, node_.op);
    if (std::holds_alternative<Add>(node_.op) ||
        (std::holds_alternative<Conv3d>(node_.op) && in_.size() == 2)) {
      result.second = in_[1];
    }
    result.sum = result.second.defined() ? result.first + result.second : result.first;
    result.value = relu_ ? result.sum.relu() : result.sum;
    return result;
  }

  at::Tensor operator()(const Input&) { throw std::logic_error("an input is not computed"); }
  at::Tensor operator()(const Conv3d& op) {
    relu_ = op.relu;
    at::Tensor y =
        reference_convolution(op, in_[0], reference_weight(weights_, node_.name + ".weight"));
    if (op.bias) y = y + reference_weight(weights_, node_.name + ".bias").view({1, -1, 1, 1, 1});
    return y;
  }
  at::Tensor operator()(const BatchNorm3d& op) {
    relu_ = op.relu;
    return normalised(in_[0], op, weights_, node_.name);
  }
  at::Tensor operator()(const Relu&) {
    relu_ = true;
    return in_[0].clone();  // a tensor of its own: its gradient is what comes through this ReLU
  }
  at::Tensor operator()(const MaxPool3d& op) { return reference_max_pool(op, in_[0]); }
  at::Tensor operator()(const AvgPool3d& op) { return reference_avg_pool(op, in_[0]); }
  at::Tensor operator()(const GlobalAverage&) { return in_[0].flatten(2).mean(2).view(five()); }
  at::Tensor operator()(const Add& op) {
    relu_ = op.relu;
    return in_[0];
  }
  at::Tensor operator()(const Concat&) { return at::cat(in_, 1); }
  at::Tensor operator()(const AdaptiveAverage& op) {
    return reference_adaptive_average(op, in_[0]);
  }
  at::Tensor operator()(const SelectChannels& op) { return picked(1, op.source); }
  at::Tensor operator()(const SelectPositions& op) { return picked(op.axis + 2, op.source); }
  at::Tensor operator()(const Pad& op) { return padded(in_[0], op.padding, 0); }
  at::Tensor operator()(const Spread& op) {
    at::Tensor y = in_[0];
    for (std::int64_t axis = 2; axis < 5; ++axis) y = spread_out(y, axis, op.step[axis - 2]);
    return y;
  }
  at::Tensor operator()(const Pointwise& op) {
    // x times a factor that is constant for autograd; x = 0 contributes nothing whatever it is.
    const at::Tensor x = in_[0].detach();
    const at::Tensor y = reference_function(op, x);
    if (reference_function(op, at::zeros({1}, at::kDouble)).item<double>() != 0) return y;
    const at::Tensor slope = reference_slope_at_zero(op, x);
    return in_[0] * at::where(x == 0, slope, y / x);
  }
  at::Tensor operator()(const Multiply&) { return in_[0] * in_[1].detach(); }
  at::Tensor operator()(const Linear& op) {
    at::Tensor y =
        at::linear(in_[0].flatten(1), reference_weight(weights_, node_.name + ".weight"));
    if (op.bias) y = y + reference_weight(weights_, node_.name + ".bias");
    return y.view({y.size(0), y.size(1), 1, 1, 1});
  }

 private:
  /// One slice after the other, without index_select.
  at::Tensor picked(std::int64_t dim, const std::vector<int>& source) const {
    std::vector<at::Tensor> slices;
    for (const int from : source) slices.push_back(in_[0].narrow(dim, from, 1));
    return at::cat(slices, dim);
  }
  static at::Tensor spread_out(const at::Tensor& x, std::int64_t dim, int step) {
    std::vector<at::Tensor> slices{x.narrow(dim, 0, 1)};
    for (std::int64_t i = 1; i < x.size(dim); ++i) {
      for (int zero = 1; zero < step; ++zero) {
        slices.push_back(at::zeros_like(x.narrow(dim, 0, 1)));
      }
      slices.push_back(x.narrow(dim, i, 1));
    }
    return at::cat(slices, dim);
  }
  std::vector<std::int64_t> five() const { return {in_[0].size(0), in_[0].size(1), 1, 1, 1}; }

  const Node& node_;
  const Weights& weights_;
  std::vector<at::Tensor> in_;
  bool relu_ = false;
};

}  // namespace

at::Tensor reference_weight(const Weights& weights, const std::string& name) {
  const WeightTensor& stored = weights.at(name);
  return at::from_blob(const_cast<float*>(stored.data.get()), stored.shape).to(at::kDouble);
}

at::Tensor reference_convolution(const Conv3d& op, const at::Tensor& x, const at::Tensor& weight) {
  const std::array<std::int64_t, 3> none{0, 0, 0};
  return at::conv3d(padded(x, op.padding, 0), weight, std::nullopt, longs(op.stride), none,
                    longs(op.dilation), op.groups);
}

at::Tensor reference_max_pool(const MaxPool3d& op, const at::Tensor& x) {
  const std::array<std::int64_t, 3> none{0, 0, 0};
  const std::array<std::int64_t, 3> ones{1, 1, 1};
  if (op.zero_padding) {
    return at::max_pool3d(padded(x, op.padding, 0), longs(op.kernel), longs(op.stride), none, ones,
                          op.ceil_mode);
  }
  // Not padded beforehand: only LibTorch's own padding keeps ceil_mode from starting a window in
  // it.
  if (!op.padding.symmetric()) throw std::logic_error("no framework pads a maximum unevenly");
  return at::max_pool3d(x, longs(op.kernel), longs(op.stride), longs(op.padding.before), ones,
                        op.ceil_mode);
}

at::Tensor reference_avg_pool(const AvgPool3d& op, const at::Tensor& x) {
  return at::avg_pool3d(x, longs(op.kernel), longs(op.stride), longs(op.padding), op.ceil_mode,
                        op.count_padding);
}

at::Tensor reference_adaptive_average(const AdaptiveAverage& op, const at::Tensor& x) {
  return at::adaptive_avg_pool3d(x, longs(op.size));
}

at::Tensor reference_function(const Pointwise& op, const at::Tensor& x) {
  const at::Tensor up = x.clamp_min(0), down = x.clamp_max(0);
  switch (op.function) {
    case Function::kSigmoid:
      return 1 / (1 + (-x).exp());
    case Function::kHardSigmoid:
      return ((x + 3) / 6).clamp_min(0).clamp_max(1);
    case Function::kTanh:
      return 1 - 2 / ((2 * x).exp() + 1);
    case Function::kErf:
      return at::erf(x);
    case Function::kSilu:
      return x / (1 + (-x).exp());
    case Function::kHardSwish:
      return x * ((x + 3) / 6).clamp_min(0).clamp_max(1);
    case Function::kGelu:
      return x * (1 + at::erf(x * std::numbers::sqrt2 / 2)) / 2;
    case Function::kGeluTanh:
      return x * (1 + at::tanh(std::sqrt(2 / std::numbers::pi) * (x + 0.044715 * x * x * x))) / 2;
    case Function::kMish:
      return x * at::tanh((1 + x.exp()).log());
    case Function::kSoftplus:
      return (1 + (op.first * x).exp()).log() / op.first;
    case Function::kElu:
      return op.second * (up + op.first * ((op.third * down).exp() - 1));
    case Function::kLeakyRelu:
      return up + op.first * down;
    case Function::kClamp:
      return x.clamp_min(op.first).clamp_max(op.second);
  }
  throw std::logic_error("Function out of range");
}

at::Tensor reference_slope_at_zero(const Pointwise& op, const at::Tensor& like) {
  if (op.function == Function::kClamp) {
    return at::zeros_like(like) + (op.first < 0 && op.second > 0 ? 1 : 0);
  }
  // From the left: a function that bends at 0 has two.
  const at::Tensor step = at::zeros({1}, at::kDouble) - 1e-9;
  return at::zeros_like(like) + (reference_function(op, step) / step).item<double>();
}

std::vector<ReferenceNode> run_reference(const NetworkGraph& graph, const Weights& weights,
                                         const at::Tensor& input) {
  std::vector<ReferenceNode> nodes;
  for (const Node& node : graph.nodes()) {
    if (std::holds_alternative<Input>(node.op)) {
      const at::Tensor x = input.to(at::kDouble).clone().contiguous().set_requires_grad(true);
      nodes.push_back({.first = x, .second = {}, .sum = x, .value = x});
      continue;
    }
    std::vector<at::Tensor> in;
    for (const NodeId id : node.inputs) in.push_back(nodes[static_cast<std::size_t>(id)].value);
    nodes.push_back(NodeRule(node, weights, std::move(in)).run());
  }
  return nodes;
}

at::Tensor reference_gradient(const at::Tensor& output, const at::Tensor& input,
                              const at::Tensor& cotangent) {
  return torch::autograd::grad({output}, {input}, {cotangent}, /*retain_graph=*/true)[0];
}

}  // namespace cfp::test
