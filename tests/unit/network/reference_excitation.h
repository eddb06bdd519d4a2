// A second way of computing positive relevance: the rules of docs/method.md, "excitation", written
// out one by one in float64 over the reference network, slow and plain.
#pragma once

#include <vector>

#include <ATen/core/Tensor.h>

#include "tests/unit/network/reference_network.h"

namespace cfp::test {

/// @param nodes   what run_reference() gave for the graph
/// @param classes one a clip
/// @param low     lowest value of each input channel [C], float64; `high` the highest
/// @return by node: R of its value [B, C, T, H, W]; undefined from the classifier on
std::vector<at::Tensor> reference_excitation(const NetworkGraph& graph, const Weights& weights,
                                             const std::vector<ReferenceNode>& nodes,
                                             const std::vector<int>& classes, const at::Tensor& low,
                                             const at::Tensor& high);

/// z+ of a convolution: its positive weights on the positive part of its input.
at::Tensor positive_response(const Conv3d& op, const at::Tensor& weight, const at::Tensor& x);

}  // namespace cfp::test
