// A second way of running a network: node by node with LibTorch's plain operators in float64, under
// its autograd. Shares no code with the executor.
#pragma once

#include <vector>

#include <ATen/core/Tensor.h>

#include "stages/network/network.h"

namespace cfp::test {

/// What one node computed: value = act(first + second).
struct ReferenceNode {
  at::Tensor first;   ///< what the node's own operation gave
  at::Tensor second;  ///< what was added to it; undefined: nothing
  at::Tensor sum;     ///< first + second: where a walk's gradient is taken
  at::Tensor value;   ///< [B, C, T, H, W]; T = H = W = 1 after GlobalAverage
};

/// @return a tensor of the weights in float64
at::Tensor reference_weight(const Weights& weights, const std::string& name);

/// The node's convolution or pool alone, with another weight: no bias, addition or ReLU.
at::Tensor reference_convolution(const Conv3d& op, const at::Tensor& x, const at::Tensor& weight);
at::Tensor reference_max_pool(const MaxPool3d& op, const at::Tensor& x);
at::Tensor reference_avg_pool(const AvgPool3d& op, const at::Tensor& x);
at::Tensor reference_adaptive_average(const AdaptiveAverage& op, const at::Tensor& x);
/// A function written out, in float64.
at::Tensor reference_function(const Pointwise& op, const at::Tensor& x);
at::Tensor reference_slope_at_zero(const Pointwise& op, const at::Tensor& like);

/// Runs a graph, fused nodes included.
/// @param input [B, C, T, H, W]
/// @return by node; autograd can differentiate from one to another
std::vector<ReferenceNode> run_reference(const NetworkGraph& graph, const Weights& weights,
                                         const at::Tensor& input);

/// The gradient of sum(cotangent * output) at `input`, which `output` was computed from.
at::Tensor reference_gradient(const at::Tensor& output, const at::Tensor& input,
                              const at::Tensor& cotangent);

}  // namespace cfp::test
