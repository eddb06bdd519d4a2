// Edges between a layer's found kernels and the found channels that enter it.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "stages/core/pyramid.h"
#include "stages/network/convolution.h"

namespace cfp {

/// What one layer's edges are computed from, for one clip and the channels asked for.
struct EdgeInput {
  at::Tensor gradient;                  ///< [T', H', W', kernels.size()]: s at the layer's output
  std::vector<std::int64_t> kernels;    ///< ascending
  at::Tensor entering;                  ///< [T, H, W, channels.size()]: x at the layer's input
  std::vector<std::int64_t> channels;   ///< ascending
};

/// E[i, j] = sum over taps of W[i, j, tap] * sum over positions of s_i(p) * x_j(p o tap).
///
/// @return [kernels, channels] in the input's number type; 0 between channels of different groups
/// Source: docs/method.md, section 2.
at::Tensor edge_scores(const Convolution& layer, const EdgeInput& input);

/// @param all [C_out, C_in]: scores of all kernels and channels of a layer
/// @return those of the kernels and channels asked for, as edge_scores() gives them
at::Tensor some_scores(const at::Tensor& all, const EdgeInput& input);

/// The edges of the pyramid among all scores: E > 0, and at least edge_threshold times the largest
/// of its kernel.
std::vector<Edge> select_edges(const at::Tensor& scores, const EdgeInput& input,
                               double edge_threshold);

}  // namespace cfp
