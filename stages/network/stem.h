// Back to the clip through the first convolution: few input channels, a large window.
//
// oneDNN's own way takes four to six times its forward there. This one takes about one: for each row
// of output positions one matrix product gives what every tap sends back, and adding that up is a
// run of neighbouring numbers for each row of taps, since channels lie innermost.
#pragma once

#include <ATen/core/Tensor.h>

#include "stages/network/graph.h"

namespace cfp {

/// @return whether stem_gradient() takes this convolution: one group, at most 4 channels in, no
///         dilation
bool is_stem(const Conv3d& op);

/// Weights in the order that stem_gradient() reads: [C_out, kT * kH runs of kW * C_in, padded].
at::Tensor stem_matrix(const Conv3d& op, const at::Tensor& weight);

/// @param g       [B, C_out, T', H', W'] float32 on a CPU, channels last
/// @param matrix  as stem_matrix() gives it
/// @param size    T, H, W of the input
/// @param padding before the first position of each axis
/// @return [B, C_in, T, H, W], channels last
at::Tensor stem_gradient(const Conv3d& op, const at::Tensor& matrix, const at::Tensor& g,
                         const Triple& size, const Triple& padding);

}  // namespace cfp
