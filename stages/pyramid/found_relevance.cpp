#include "stages/pyramid/found_relevance.h"

namespace cfp {
namespace {

std::size_t index(std::int64_t i) { return static_cast<std::size_t>(i); }

}  // namespace

FoundRelevance::FoundRelevance(const TracedBatch& batch, std::size_t clips)
    : batch_(batch),
      found_(clips,
             std::vector<std::vector<NodeRelevance>>(
                 batch.requests.size(), std::vector<NodeRelevance>(index(batch.graph().size())))) {}

std::vector<std::uint8_t> FoundRelevance::kernels_with_edges(std::size_t clip, NodeId layer) const {
  std::vector<std::uint8_t> any;
  for (std::size_t r = 0; r < batch_.requests.size(); ++r) {
    const PyramidRequest& request = batch_.requests[r];
    if (!request.options.edges || !request.has_layer(layer)) continue;
    const std::vector<std::uint8_t>& found = found_[clip][r][index(layer)].kernels->found;
    any.resize(found.size());
    for (std::size_t k = 0; k < found.size(); ++k) any[k] |= found[k];
  }
  return any;
}

std::vector<Scores> FoundRelevance::take(std::span<const int> classes) {
  std::vector<Scores> scores(batch_.requests.size());
  for (std::size_t clip = 0; clip < found_.size(); ++clip) {
    for (std::size_t r = 0; r < scores.size(); ++r) {
      scores[r].relevance.push_back(std::move(found_[clip][r]));
      mark_reached(batch_.graph(), batch_.classifier(), classes[clip], scores[r].relevance.back());
    }
  }
  return scores;
}

}  // namespace cfp
