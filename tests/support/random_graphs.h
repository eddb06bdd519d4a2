// Small random networks for property-based tests: whatever holds for networks must hold for these.
//
//   for (std::uint64_t seed = 0; seed < 50; ++seed) {
//     const NetworkGraph graph = random_graph(seed);
//     SCOPED_TRACE(describe(graph));
//     … formula_weights(graph, seed), formula_input(random_clip_size(seed), seed) …
//   }
#pragma once

#include <cstdint>
#include <string>

#include "stages/network/graph.h"

namespace cfp::test {

/// The smallest and largest clips that a random network takes; T, H and W may be mixed.
inline constexpr Triple kSmallestClip{4, 9, 9};
inline constexpr Triple kLargestClip{6, 12, 12};

/// Makes a network of 3 to 10 convolutions with 2 to 12 channels each.
///
/// Met over many seeds: strides, dilation 1 and 2, groups, depth-wise convolutions, asymmetric
/// padding, biases, batch norms behind a convolution and standing alone (pre-activation), residual
/// additions with and without a convolution in the shortcut, branches with Concat, maximum pools
/// with and without zero padding and ceil_mode, average pools with and without padding, adaptive
/// ones, functions such as swish, channels that are sliced, shuffled and chunked, gates, frames
/// left out, turned round or repeated, padding, what transposed convolutions are made of; at the
/// end GlobalAverage and Linear, or a convolution as classifier and GlobalAverage. Every node leads
/// to the logits.
///
/// @return the same network for the same seed on every machine; valid for every clip from
///         kSmallestClip to kLargestClip
NetworkGraph random_graph(std::uint64_t seed);

/// @return a clip size, each of T, H and W from kSmallestClip to kLargestClip
Triple random_clip_size(std::uint64_t seed);

/// Writes a network as text, a line a node: what a failing test should show.
std::string describe(const NetworkGraph& graph);

}  // namespace cfp::test
