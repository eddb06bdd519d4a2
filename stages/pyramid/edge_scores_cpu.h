// Edge scores of a float32 network on a CPU: what edges.h defines, without a copy a tap.
#pragma once

#include <ATen/core/Tensor.h>

#include "stages/pyramid/edges.h"

namespace cfp::cpu {

/// @return whether edge_scores() below can take this layer and input
bool takes_edges(const Convolution& layer, const EdgeInput& input);

/// As cfp::edge_scores().
at::Tensor edge_scores(const Convolution& layer, const EdgeInput& input);

}  // namespace cfp::cpu
