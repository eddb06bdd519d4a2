#include "stages/network/executor.h"

#include <ATen/Context.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/from_blob.h>
#include <c10/core/InferenceMode.h>
#include <fmt/format.h>

#include "stages/core/errors.h"
#include "stages/network/device_errors.h"
#include "stages/network/overloaded.h"
#include "stages/network/passes.h"
#include "stages/network/pointwise.h"
#include "stages/network/tensor_kernels.h"
#include "stages/network/tensor_moves.h"

namespace cfp {
namespace {

constexpr auto kLayout = at::MemoryFormat::ChannelsLast3d;

at::Tensor to_tensor(const Weights& weights, const std::string& name,
                     const ExecutorOptions& options) {
  const WeightTensor& stored = weights.at(name);
  // from_blob takes no const pointer; the tensor is copied at once and the memory never written.
  const at::Tensor view = at::from_blob(const_cast<float*>(stored.data.get()), stored.shape,
                                        at::TensorOptions(at::kFloat));
  return view.to(options.device, options.dtype, /*non_blocking=*/false, /*copy=*/true);
}

/// A linear classifier as the convolution that it is on one position.
Conv3d as_convolution(const Op& op) {
  if (const auto* linear = std::get_if<Linear>(&op)) {
    return {.in_channels = linear->in_features,
            .out_channels = linear->out_features,
            .bias = linear->bias};
  }
  return std::get<Conv3d>(op);
}

/// Sets the default that keeps float32 what it says: CUDA would round products to 10 bits.
void forbid_tf32() {
  at::globalContext().setAllowTF32CuDNN(false);
  at::globalContext().setAllowTF32CuBLAS(false);
}

at::Tensor add_or(const at::Tensor& add_to, at::Tensor value) {
  return add_to.defined() ? value + add_to : std::move(value);
}

}  // namespace

Executor::Executor(const Network& network, const ExecutorOptions& options) : options_(options) {
  const c10::InferenceMode guard;
  options_.fused = options.fused && options.device.is_cpu() && options.dtype == at::kFloat &&
                   fused_convolutions_available();
  const Network prepared = options.optimise ? cfp::optimise(network) : network;
  graph_ = prepared.graph;
  clip_size_ = prepared.clip_size;
  const std::size_t n = index(graph_.size());
  layers_.resize(n);
  positive_layers_.resize(n);
  norm_scale_.resize(n);
  norm_shift_.resize(n);
  last_reader_.assign(n, -1);
  if (!options.device.is_cpu()) forbid_tf32();
  try {
    for (NodeId id = 0; id < graph_.size(); ++id) {
      for (const NodeId input : graph_.node(id).inputs) last_reader_[index(input)] = id;
      if (is_layer(graph_.node(id))) load_layer(id, prepared.weights);
      if (std::holds_alternative<BatchNorm3d>(graph_.node(id).op)) load_norm(id, prepared.weights);
    }
  } catch (...) {
    rethrow_device_error(options.device, "cannot take the network");
  }
}

void Executor::load_layer(NodeId id, const Weights& weights) {
  const Node& node = graph_.node(id);
  const Conv3d op = as_convolution(node.op);
  at::Tensor weight = to_tensor(weights, node.name + ".weight", options_)
                          .view({op.out_channels, op.in_channels / op.groups, op.kernel[0],
                                 op.kernel[1], op.kernel[2]});
  at::Tensor bias = op.bias ? to_tensor(weights, node.name + ".bias", options_) : at::Tensor();
  layers_[index(id)] =
      std::make_shared<const Convolution>(op, std::move(weight), std::move(bias), options_.fused);
}

void Executor::load_norm(NodeId id, const Weights& weights) {
  const Node& node = graph_.node(id);
  ExecutorOptions exact = options_;
  exact.dtype = at::kDouble;
  const at::Tensor variance = to_tensor(weights, node.name + ".running_var", exact);
  const at::Tensor mean = to_tensor(weights, node.name + ".running_mean", exact);
  const at::Tensor gamma = to_tensor(weights, node.name + ".weight", exact);
  const at::Tensor scale = gamma / (variance + std::get<BatchNorm3d>(node.op).eps).sqrt();
  const at::Tensor shift = to_tensor(weights, node.name + ".bias", exact) - mean * scale;
  norm_scale_[index(id)] = scale.to(options_.dtype);
  norm_shift_[index(id)] = shift.to(options_.dtype);
}

void Executor::check_size(const at::Tensor& input_ncthw) const {
  if (!clip_size_) return;
  const Triple& wanted = *clip_size_;
  const auto sizes = input_ncthw.sizes();
  if (sizes[2] == wanted[0] && sizes[3] == wanted[1] && sizes[4] == wanted[2]) return;
  throw ConfigError(fmt::format(
      "the network was exported for clips of {}x{}x{} (T x H x W), but gets {}x{}x{}; set sampling "
      "and preprocess to that size, or export it again",
      wanted[0], wanted[1], wanted[2], sizes[2], sizes[3], sizes[4]));
}

at::Tensor Executor::to_layout(const at::Tensor& ncthw) const {
  return ncthw.to(options_.device, options_.dtype).contiguous(kLayout);
}

Trace Executor::forward(const at::Tensor& input_ncthw, bool keep_all) const {
  return forward(input_ncthw, ForwardPlan{std::vector<bool>(index(graph_.size()), keep_all), {}});
}

Trace Executor::forward(const at::Tensor& input_ncthw, const ForwardPlan& plan) const {
  const c10::InferenceMode guard;
  check_size(input_ncthw);
  Trace trace;
  trace.values.resize(index(graph_.size()));
  trace.means.resize(index(graph_.size()));
  const auto kept = [&](NodeId id) { return !plan.keep.empty() && plan.keep[index(id)]; };
  for (NodeId id = 0; id < graph_.size(); ++id) {
    at::Tensor& value = trace.values[index(id)];
    value = id == 0 ? to_layout(input_ncthw) : run_node(id, trace.values);
    if (!plan.windows.empty()) {
      for (const Window& window : plan.windows[index(id)]) {
        trace.means[index(id)][window] = tap_means(value, window);
      }
    }
    for (const NodeId input : graph_.node(id).inputs) {
      if (last_reader_[index(input)] == id && !kept(input)) {
        trace.values[index(input)].reset();
      }
    }
  }
  trace.logits = trace.values[index(graph_.output())].flatten(1);
  if (!kept(graph_.output())) trace.values[index(graph_.output())].reset();
  return trace;
}

at::Tensor Executor::run_node(NodeId id, const std::vector<at::Tensor>& values) const {
  const Node& node = graph_.node(id);
  const auto in = [&](std::size_t i) -> const at::Tensor& { return values[index(node.inputs[i])]; };
  return std::visit(
      Overloaded{
          [&](const Input&) -> at::Tensor { return values[0]; },
          [&](const Conv3d& op) -> at::Tensor {
            return layers_[index(id)]->forward(in(0), node.inputs.size() > 1 ? in(1) : at::Tensor(),
                                               op.relu);
          },
          [&](const Linear&) -> at::Tensor {
            return layers_[index(id)]->forward(in(0), {}, false);
          },
          [&](const BatchNorm3d& op) -> at::Tensor {
            return scale_shift(in(0), norm_scale(id), norm_shift(id), op.relu);
          },
          [&](const Relu&) -> at::Tensor { return in(0).clamp_min(0); },
          [&](const MaxPool3d& op) -> at::Tensor { return max_pool(in(0), op); },
          [&](const AvgPool3d& op) -> at::Tensor { return avg_pool(in(0), op); },
          [&](const GlobalAverage&) -> at::Tensor {
            return in(0).mean({2, 3, 4}, true);
          },
          [&](const Add& op) -> at::Tensor {
            at::Tensor sum = in(0) + in(1);
            return op.relu ? sum.clamp_min_(0) : sum;
          },
          [&](const AdaptiveAverage& op) -> at::Tensor { return adaptive_average(in(0), op); },
          [&](const SelectChannels& op) -> at::Tensor { return select_channels(in(0), op); },
          [&](const SelectPositions& op) -> at::Tensor { return select_positions(in(0), op); },
          [&](const Pad& op) -> at::Tensor { return pad(in(0), op); },
          [&](const Spread& op) -> at::Tensor { return spread(in(0), op); },
          [&](const Pointwise& op) -> at::Tensor { return pointwise(in(0), op); },
          [&](const Multiply&) -> at::Tensor { return in(0) * in(1); },
          [&](const Concat&) -> at::Tensor {
            std::vector<at::Tensor> parts;
            for (std::size_t i = 0; i < node.inputs.size(); ++i) parts.push_back(in(i));
            return at::cat(parts, 1);
          }},
      node.op);
}

at::Tensor Executor::input_gradient(NodeId id, std::size_t input, const at::Tensor& g,
                                    const std::vector<at::Tensor>& values,
                                    const at::Tensor& add_to) const {
  const Node& node = graph_.node(id);
  const at::Tensor& x = values[index(node.inputs[input])];
  const auto through_layer = [&] {
    const Triple size{static_cast<int>(x.size(2)), static_cast<int>(x.size(3)),
                      static_cast<int>(x.size(4))};
    return layers_[index(id)]->input_gradient(g, size, add_to);
  };
  return std::visit(
      Overloaded{
          [&](const Input&) -> at::Tensor {
            throw std::logic_error("the network's input has no inputs");
          },
          [&](const Conv3d&) -> at::Tensor {
            return input == 0 ? through_layer() : add_or(add_to, g);
          },
          [&](const Linear&) -> at::Tensor { return through_layer(); },
          [&](const BatchNorm3d&) -> at::Tensor {
            return scale_gradient(g, norm_scale(id), add_to);
          },
          [&](const Relu&) -> at::Tensor { return add_or(add_to, g); },
          [&](const MaxPool3d& op) -> at::Tensor {
            return add_or(add_to, max_pool_gradient(g, x, values[index(id)], op));
          },
          [&](const AvgPool3d& op) -> at::Tensor {
            return add_or(add_to, avg_pool_gradient(g, x, op).contiguous(kLayout));
          },
          [&](const GlobalAverage&) -> at::Tensor {
            const double positions = static_cast<double>(x.size(2) * x.size(3) * x.size(4));
            return add_or(add_to, (g / positions).expand_as(x).contiguous(kLayout));
          },
          [&](const Add&) -> at::Tensor { return add_or(add_to, g); },
          [&](const AdaptiveAverage&) -> at::Tensor {
            return add_or(add_to, adaptive_average_gradient(g, x).contiguous(kLayout));
          },
          [&](const SelectChannels& op) -> at::Tensor {
            return add_or(add_to, select_channels_gradient(g, x, op));
          },
          [&](const SelectPositions& op) -> at::Tensor {
            return add_or(add_to, select_positions_gradient(g, x, op));
          },
          [&](const Pad& op) -> at::Tensor { return add_or(add_to, pad_gradient(g, x, op)); },
          [&](const Spread& op) -> at::Tensor { return add_or(add_to, spread_gradient(g, op)); },
          [&](const Pointwise& op) -> at::Tensor {
            return add_or(add_to, g * pointwise_factor(x, values[index(id)], op));
          },
          [&](const Multiply&) -> at::Tensor {
            if (input != 0) throw std::logic_error("a gate is constant on the way back");
            return add_or(add_to, g * values[index(node.inputs[1])]);
          },
          [&](const Concat&) -> at::Tensor {
            std::int64_t offset = 0;
            for (std::size_t i = 0; i < input; ++i) offset += graph_.channels(node.inputs[i]);
            return add_or(add_to, g.narrow(1, offset, x.size(1)).contiguous(kLayout));
          }},
      node.op);
}

const Convolution& Executor::layer(NodeId id) const { return *layers_.at(index(id)); }

const Convolution& Executor::positive_layer(NodeId id) const {
  const std::lock_guard lock(positive_mutex_);
  auto& slot = positive_layers_.at(index(id));
  if (!slot) slot = layer(id).with_weight(layer(id).weight().clamp_min(0));
  return *slot;
}

}  // namespace cfp
