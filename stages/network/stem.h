// The first convolution of a network, walked backwards: few input channels, a large window.
//
// oneDNN's own ways take four to six forwards there. These make use of two facts. With channels
// innermost, a row of taps meets neighbouring numbers, so that all work is on short runs of them.
// And what comes back to a stem has passed a maximum pool and a ReLU, so that most of it is zero:
// only what is not zero is worked on. Both are exact for any gradient; a dense one only takes
// longer.
#pragma once

#include <cstdint>
#include <vector>

#include <ATen/core/Tensor.h>

#include "stages/network/graph.h"

namespace cfp {

/// @return whether the functions below take this convolution: one group, no dilation, at most 6
///         input channels, at most 48 numbers in a row of taps over all of them
bool is_stem(const Conv3d& op);

/// Weights in the order that stem_gradients() reads: [kT, C_out, kH, run], where a run is the
/// row of kW * C_in numbers, padded with zeros to whole vectors.
at::Tensor stem_runs(const Conv3d& op, const at::Tensor& weight);

struct StemGradients {
  at::Tensor input;  ///< [B, C_in, T, H, W], channels last
  /// [B, C_out, C_in]: sum over taps of weight times its gradient, 0 for kernels not asked for; or
  /// undefined
  at::Tensor scores;
};

/// By clip, by kernel: 1 where scores are wanted; they cost as much again as the gradient does.
using KernelMasks = std::vector<std::vector<std::uint8_t>>;

/// The gradient at the input of sum(g * conv(x)), and in the same pass what kernels get from each
/// input channel.
///
/// @param runs as stem_runs() gives them
/// @param g    [B, C_out, T', H', W'] float32 on a CPU
/// @param size T, H, W of the input
/// @param x    [B, C_in, T, H, W] float32 on a CPU; undefined: no scores
/// @param wanted whose scores; empty: all kernels'
StemGradients stem_gradients(const Conv3d& op, const at::Tensor& runs, const at::Tensor& g,
                             const Triple& size, const at::Tensor& x = {},
                             const KernelMasks& wanted = {});

}  // namespace cfp
