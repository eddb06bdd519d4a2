// What a layer's taps see on average: all that scorers without a backward pass need of a tensor.
#pragma once

#include <ATen/core/Tensor.h>

#include "stages/network/graph.h"

namespace cfp {

/// m_j[tap] = mean over the positions p of a convolution's result of x_j(p o tau), 0 in the
/// padding.
///
/// @param x  [B, C, T, H, W], what enters the convolution
/// @return   [B, C, taps] float64, taps in row-major order of the window
at::Tensor tap_means(const at::Tensor& x, const Conv3d& op);

/// @param x [B, C, T, H, W]
/// @return  [B, C] float64: means over positions
at::Tensor channel_means(const at::Tensor& x);

}  // namespace cfp
