// Networks, clips and whole backward walks that the tests of this room share.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <ATen/core/Tensor.h>

#include "stages/core/clip.h"
#include "stages/network/network.h"
#include "stages/network/walks.h"
#include "stages/pyramid/edges.h"

namespace cfp::test {

struct TestNetwork {
  Network network;
  Triple clip_size;  ///< T, H, W
};

/// An architecture with all its parts but few and narrow ones; weights from a formula, 5 classes.
TestNetwork reduced_architecture(std::string_view name, std::uint64_t seed = 1);

/// An architecture at its published width and depth; only the clip, and where it must the last
/// average, is smaller. Weights from a formula, 400 classes.
TestNetwork full_architecture(std::string_view name);

/// How many random networks each law is tried on.
constexpr std::uint64_t kRandomNetworks = 200;

/// A network of random_graph() with weights from a formula and a clip size that it takes.
TestNetwork random_network(std::uint64_t seed);

/// @return [batch, 3, T, H, W] float32 in -1..1
at::Tensor formula_clips(const Triple& size, int batch, std::uint64_t seed);

/// A decoded clip whose bytes are a formula's.
Clip formula_frames(const Triple& size, std::uint64_t seed, std::int64_t row = 0);

/// What of the logits is explained, by docs/method.md, section 1: [B, classes] in their type.
at::Tensor target_weights(const at::Tensor& logits, int class_index, bool margin);

/// What a walk from the class to the input shows of every node.
struct FullWalk {
  Trace trace;                        ///< every value
  std::vector<OutputGradient> nodes;  ///< by node; the gradients are copies
  double target(std::int64_t clip) const {
    return (trace.logits[clip] * weights[clip]).sum().item<double>();
  }
  at::Tensor weights;
};

FullWalk walk_everything(const Executor& executor, const at::Tensor& clips, int class_index,
                         bool margin);

/// Kernels and channels of a layer without any selection, for one clip.
EdgeInput everything_of(const Executor& executor, const FullWalk& walk, NodeId layer,
                        std::int64_t clip);

/// 0, 1, …, n-1.
std::vector<std::int64_t> all_of(std::int64_t n);

inline std::size_t at_node(NodeId id) { return static_cast<std::size_t>(id); }

}  // namespace cfp::test
