// Edges between a layer's found kernels and the found channels that enter it.
#pragma once

#include <cstdint>
#include <vector>

#include <ATen/core/Tensor.h>

#include "stages/core/pyramid.h"
#include "stages/network/convolution.h"

namespace cfp {

/// What one layer's edges are computed from, for one clip and the channels asked for.
struct EdgeInput {
  at::Tensor gradient;                 ///< [T', H', W', kernels.size()]: s at the layer's output
  std::vector<std::int64_t> kernels;   ///< ascending
  at::Tensor entering;                 ///< [1, C_in, T, H, W]: x at the layer's input
  std::vector<std::int64_t> channels;  ///< ascending
  bool positive = false;               ///< takes max(x, 0) for x
};

/// E[i, j] = sum over taps of W[i, j, tap] * sum over positions of s_i(p) * x_j(p o tap).
///
/// @return [kernels, channels] in the input's number type; 0 between channels of different groups
/// Source: docs/method.md, section 2.
at::Tensor edge_scores(const Convolution& layer, const EdgeInput& input);

/// Neighbouring groups of a convolution that are scored together as one dense layer, whose weights
/// between groups count as 0: thin products cost more than the zeros.
struct EdgeBundle {
  std::int64_t first_group = 0, end_group = 0;
  std::int64_t k0 = 0, k1 = 0;  ///< positions in the list of kernels
  std::int64_t c0 = 0, c1 = 0;  ///< positions in the list of channels
};

/// @param kernels, channels that are enough for one bundle
/// @return bundles that hold both kernels and channels, ascending
std::vector<EdgeBundle> bundle_groups(const Conv3d& op, const EdgeInput& input,
                                      std::int64_t kernels, std::int64_t channels);

/// @param all [C_out, C_in]: scores of all kernels and channels of a layer
/// @return those of the kernels and channels asked for, as edge_scores() gives them
at::Tensor some_scores(const at::Tensor& all, const EdgeInput& input);

/// The edges of the pyramid among all scores: E > 0, and at least edge_threshold times the largest
/// of its kernel.
std::vector<Edge> select_edges(const at::Tensor& scores, const EdgeInput& input,
                               double edge_threshold);

/// All scores between kernels and channels of the same group, whatever their sign.
std::vector<Edge> all_edges(const Conv3d& op, const at::Tensor& scores, const EdgeInput& input);

}  // namespace cfp
