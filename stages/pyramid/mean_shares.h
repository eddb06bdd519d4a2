// How the mean response of kernels is shared out over what they see (docs/method.md, `response`).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include <ATen/core/Tensor.h>

#include "stages/network/convolution.h"

namespace cfp {

/// Kernels of one layer that have relevance, and what their taps see of one clip.
struct Responding {
  const Convolution& layer;
  const at::Tensor& means;                ///< [C_in, taps], like the layer's weights
  std::span<const std::int64_t> kernels;  ///< ascending
  std::span<const double> relevance;      ///< of those kernels
};

struct MeanShares {
  /// E_ij = sum over taps of W_ij * m_j: [kernels, C_in/groups], float32 on the CPU.
  at::Tensor scores;
  /// [C_in]: each kernel's relevance, divided among its channels by the positive E; that of a
  /// kernel without any is lost.
  std::vector<double> below;
};

MeanShares share_by_means(const Responding& kernels);

/// Means over positions of what a layer puts out, before any addition and ReLU.
///
/// @param means [C_in, taps], like the layer's weights
/// @return      [C_out]
at::Tensor mean_outputs(const Convolution& layer, const at::Tensor& means);

}  // namespace cfp
