// tap_means() on a CPU: one pass over memory, whatever the window.
#pragma once

#include <ATen/core/Tensor.h>

#include "stages/network/tap_means.h"

namespace cfp::cpu {

/// @return whether tap_sums() takes a tensor: float32 on a CPU, channels last
bool takes_tap_sums(const at::Tensor& x);

/// @param x [B, C, T, H, W] that takes_tap_sums()
/// @return  [B, C, taps] float64: sums of what each tap meets
at::Tensor tap_sums(const at::Tensor& x, const Window& window);

}  // namespace cfp::cpu
