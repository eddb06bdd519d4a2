// The element-wise and windowed operations that forward and backward need beside convolutions.
//
// Each has one meaning; most have two bodies: plain ATen for any device and number type, and, for
// float32 on a CPU in channels-last layout, one pass over memory (tensor_kernels_cpu.cpp; maxima an
// axis at a time, max_pool_cpu.cpp). Tests hold the two against each other. Activations are
// [B, C, T, H, W]; after GlobalAverage T = H = W = 1.
#pragma once

#include <vector>

#include <ATen/core/Tensor.h>

#include "stages/network/graph.h"

namespace cfp {

/// P and N of a tensor: sums over positions of max(g*x, 0) and max(-g*x, 0).
struct ChannelSums {
  at::Tensor positive;  ///< [B, C] float64
  at::Tensor negative;  ///< [B, C] float64
};

/// P and N of a tensor x whose gradient is g, both [B, C, T, H, W].
ChannelSums contribution_sums(const at::Tensor& gradient, const at::Tensor& value);

/// @param x [B, C, T, H, W]
/// @return  [B, C] float64: sums over positions
at::Tensor channel_sums(const at::Tensor& x);

/// What relu_gradient() finds at a node y = act(z + residual).
struct OutputGradient {
  at::Tensor gradient;  ///< at z, and at the residual: g, 0 where a ReLU is closed
  ChannelSums value;    ///< of y, equal to those of the sum z + residual
  ChannelSums kernels;  ///< of z; those of y where there is no residual
  ChannelSums addend;   ///< of the residual; undefined where there is none
};

/// Steps back from a node's value to what was added up in it, and sums contributions on the way.
///
/// @param gradient  at y; overwritten where that saves a copy
/// @param value     y
/// @param residual  the second addend; undefined: none
OutputGradient relu_gradient(at::Tensor gradient, const at::Tensor& value,
                             const at::Tensor& residual, bool relu);

/// Some channels of one clip as rows.
///
/// @param x        [B, C, T, H, W]
/// @param channels ascending
/// @return [T, H, W, channels.size()], contiguous
at::Tensor gather_channels(const at::Tensor& x, std::int64_t clip,
                           const std::vector<std::int64_t>& channels);

/// y = x * scale + shift channel by channel, then perhaps ReLU; scale and shift are [C].
at::Tensor scale_shift(const at::Tensor& x, const at::Tensor& scale, const at::Tensor& shift,
                       bool relu);

/// @return gradient * scale channel by channel, plus `add_to` where that is defined
at::Tensor scale_gradient(const at::Tensor& gradient, const at::Tensor& scale,
                          const at::Tensor& add_to);

at::Tensor max_pool(const at::Tensor& x, const MaxPool3d& pool);
/// Gives each window's gradient to its largest position, the first of equals.
at::Tensor max_pool_gradient(const at::Tensor& gradient, const at::Tensor& x, const at::Tensor& y,
                             const MaxPool3d& pool);

at::Tensor avg_pool(const at::Tensor& x, const AvgPool3d& pool);
at::Tensor avg_pool_gradient(const at::Tensor& gradient, const at::Tensor& x,
                             const AvgPool3d& pool);

at::Tensor adaptive_average(const at::Tensor& x, const AdaptiveAverage& pool);
at::Tensor adaptive_average_gradient(const at::Tensor& gradient, const at::Tensor& x);

/// @return relevance / activation where activation > 0, else 0; may overwrite `activation`
at::Tensor relevance_ratio(const at::Tensor& relevance, at::Tensor activation);

/// @return max(x, 0) * factor, plus `add_to` where that is defined; may overwrite `factor`
at::Tensor positive_product(const at::Tensor& x, at::Tensor factor, const at::Tensor& add_to);

/// Splits the relevance of y = act(z + residual) by the positive parts of the two addends.
struct AddendRelevance {
  at::Tensor first, residual;
};
AddendRelevance split_relevance(const at::Tensor& relevance, const at::Tensor& value,
                                const at::Tensor& residual);

}  // namespace cfp
