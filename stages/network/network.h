// A network ready to be run: its graph, its weights as plain memory, and what its outputs mean.
//
// Loading (checkpoint/) makes it, the executor turns it into tensors on a device.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "stages/network/graph.h"

namespace cfp {

/// A float32 tensor in memory that somebody owns: a mapped file or a vector.
struct WeightTensor {
  std::vector<std::int64_t> shape;
  std::shared_ptr<const float> data;  ///< row-major, contiguous
  std::int64_t elements() const {
    std::int64_t n = 1;
    for (const std::int64_t d : shape) n *= d;
    return n;
  }
};

/// Weights by the names that tensor_specs() gives.
using Weights = std::map<std::string, WeightTensor, std::less<>>;

struct Network {
  std::string architecture;  ///< `resnet50_3d`, …
  NetworkGraph graph;
  Weights weights;
  std::vector<std::string> class_names;  ///< in the order of the logits; may be empty
  std::string preset;               ///< preprocessing preset the checkpoint brings; may be empty
  bool random_weights = false;      ///< every output of a run must say so
  std::optional<Triple> clip_size;  ///< T, H, W of the only clips it takes; absent: all that fit
  std::vector<std::string> notes;   ///< what was left out of an exported network, as sentences
  std::uint64_t weights_hash = 0;   ///< FNV-1a of names, shapes and bytes; of an exported
                                    ///< network of its calls, too
  int num_classes() const { return graph.channels(graph.output()); }
};

}  // namespace cfp
