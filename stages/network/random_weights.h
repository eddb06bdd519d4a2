// Weights and inputs from a formula: nothing has to be downloaded to try a network out.
//
// A tensor is a stream of hash values whose name is the tensor's name (stages/core/formula.h), so
// the same seed gives the same bits on every machine and at every number of threads. Scales keep
// what passes a network in a moderate range.
//
//   Weights weights = formula_weights(graph, /*base_seed=*/1);
#pragma once

#include <cstdint>
#include <vector>

#include "stages/network/network.h"

namespace cfp {

/// Makes every tensor that tensor_specs() names.
///
/// With u uniform in [0, 1) and s = sqrt(12 gain / fan_in): weights of convolutions and classifiers
/// are (u - 0.5) s, with gain 2, or 1 for a layer that gives the logits; biases (u - 0.5) 0.2; of a
/// batch norm the weight is 0.4375 + u / 2, bias and mean (u - 0.5) 0.4, variance 0.5 + u.
///
/// @return tensors by name, float32
Weights formula_weights(const NetworkGraph& graph, std::uint64_t base_seed);

/// Makes a clip as a network gets it: stream `input`, values (u - 0.5) 2.
///
/// @param size  T, H, W
/// @return      [1, channels, T, H, W] row-major
std::vector<float> formula_input(const Triple& size, std::uint64_t base_seed, int channels = 3);

}  // namespace cfp
