// What a walk has found so far, for several requests at once. Private to this room.
#pragma once

#include <span>
#include <vector>

#include "stages/pyramid/scorer.h"

namespace cfp {

class FoundRelevance {
 public:
  FoundRelevance(const TracedBatch& batch, std::size_t clips);

  std::size_t clips() const { return found_.size(); }
  NodeRelevance& of(std::size_t clip, std::size_t request, NodeId id) {
    return found_[clip][request][static_cast<std::size_t>(id)];
  }
  /// By request, by node.
  std::vector<std::vector<NodeRelevance>>& of(std::size_t clip) { return found_[clip]; }

  /// Kernels of a layer that any request finds and wants the edges of.
  std::vector<std::uint8_t> kernels_with_edges(std::size_t clip, NodeId layer) const;

  /// Marks what is reached.
  /// @return one a request, without tubes
  std::vector<Scores> take(std::span<const int> classes);

 private:
  const TracedBatch& batch_;
  std::vector<std::vector<std::vector<NodeRelevance>>> found_;  ///< by clip, by request, by node
};

}  // namespace cfp
