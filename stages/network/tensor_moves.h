// Operations that give values another place, and their ways back: plain ATen for any device and
// number type. Activations are [B, C, T, H, W], channels last.
#pragma once

#include <ATen/core/Tensor.h>

#include "stages/network/ops.h"

namespace cfp {

at::Tensor select_channels(const at::Tensor& x, const SelectChannels& op);
at::Tensor select_positions(const at::Tensor& x, const SelectPositions& op);
at::Tensor pad(const at::Tensor& x, const Pad& op);
at::Tensor spread(const at::Tensor& x, const Spread& op);

/// The gradients at the input x, which may be left out of the result (0) or read more than once
/// (sum).
at::Tensor select_channels_gradient(const at::Tensor& g, const at::Tensor& x,
                                    const SelectChannels& op);
at::Tensor select_positions_gradient(const at::Tensor& g, const at::Tensor& x,
                                     const SelectPositions& op);
at::Tensor pad_gradient(const at::Tensor& g, const at::Tensor& x, const Pad& op);
at::Tensor spread_gradient(const at::Tensor& g, const Spread& op);

}  // namespace cfp
