// The first convolution of a network, walked backwards: few input channels, a large window.
//
// oneDNN's own ways take four to six forwards there. These make use of two facts. With channels
// innermost, a row of taps meets neighbouring numbers, so that all work is on short runs of them. And
// what comes back to a stem has passed a maximum pool and a ReLU, so that most of it is zero: only
// what is not zero is worked on. Both are exact for any gradient; a dense one only takes longer.
#pragma once

#include <ATen/core/Tensor.h>

#include "stages/network/graph.h"

namespace cfp {

/// @return whether the functions below take this convolution: one group, no dilation, at most 6
///         input channels, at most 48 numbers in a row of taps over all of them
bool is_stem(const Conv3d& op);

/// Weights in the order that stem_input_gradient() reads: [kT, C_out, kH, run], where a run is the
/// row of kW * C_in numbers, padded with zeros to whole vectors.
at::Tensor stem_runs(const Conv3d& op, const at::Tensor& weight);

/// The gradient at the input of sum(g * conv(x)).
///
/// @param runs    as stem_runs() gives them
/// @param g       [B, C_out, T', H', W'] float32 on a CPU, channels last
/// @param size    T, H, W of the input
/// @param padding before the first position of each axis
/// @return [B, C_in, T, H, W], channels last
at::Tensor stem_input_gradient(const Conv3d& op, const at::Tensor& runs, const at::Tensor& g,
                               const Triple& size, const Triple& padding);

/// The gradient at the weights of sum(g * conv(x)), for some of the kernels.
///
/// @param g [T', H', W', n] float32 on a CPU, contiguous
/// @param x [T, H, W, C_in] likewise
/// @return [n, C_in, kT * kH * kW]
at::Tensor stem_weight_gradient(const Conv3d& op, const at::Tensor& g, const at::Tensor& x);

}  // namespace cfp
