// What a layer's taps see on average: all that scorers without a backward pass need of a tensor.
#pragma once

#include <compare>

#include <ATen/core/Tensor.h>

#include "stages/network/ops.h"

namespace cfp {

/// The positions that a layer sees at once; a Window{} sees one.
struct Window {
  Triple kernel{1, 1, 1}, stride{1, 1, 1}, dilation{1, 1, 1};
  Padding padding;
  auto operator<=>(const Window&) const = default;
};

inline Window window_of(const Conv3d& op) {
  return {op.kernel, op.stride, op.dilation, op.padding};
}

/// m_j[tap] = mean over the positions p of a window's result of x_j(p o tau), 0 in the
/// padding.
///
/// @param x  [B, C, T, H, W]
/// @return   [B, C, taps] float64 on the CPU, taps in row-major order of the window
at::Tensor tap_means(const at::Tensor& x, const Window& window);

/// @param x [B, C, T, H, W]
/// @return  [B, C] float64 on the CPU: means over positions
at::Tensor channel_means(const at::Tensor& x);

}  // namespace cfp
