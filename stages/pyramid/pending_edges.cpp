#include "stages/pyramid/pending_edges.h"

#include "stages/network/tensor_kernels.h"
#include "stages/pyramid/selection.h"

namespace cfp {
namespace {

std::size_t index(std::int64_t i) { return static_cast<std::size_t>(i); }

}  // namespace

PendingEdges::PendingEdges(const NetworkGraph& graph, const PyramidPlan& plan,
                           const ExplainOptions& options, std::size_t clips, bool all_pairs)
    : graph_(graph),
      plan_(plan),
      options_(options),
      all_pairs_(all_pairs),
      pending_(clips, std::vector<Pending>(index(graph.size()))),
      scores_(index(graph.size())) {}

void PendingEdges::remember(NodeId layer, std::size_t clip, const Convolution& weights,
                            std::vector<std::int64_t> kernels, const at::Tensor& s) {
  if (!options_.edges || plan_.layer_of_node[index(layer)] < 0 || kernels.empty()) return;
  Pending& pending = pending_[clip][index(layer)];
  pending.weights = &weights;
  if (s.defined()) {
    pending.input.gradient = gather_channels(s, static_cast<std::int64_t>(clip), kernels);
  }
  pending.input.kernels = std::move(kernels);
}

void PendingEdges::scores(NodeId layer, const at::Tensor& all) { scores_[index(layer)] = all; }

void PendingEdges::finish(NodeId id, std::size_t clip, const at::Tensor& value, bool positive,
                          std::vector<NodeRelevance>& relevance) {
  const std::vector<std::int64_t> channels = found_channels(*relevance[index(id)].value);
  if (channels.empty()) return;
  for (const NodeId reader : graph_.readers(id)) {
    Pending& pending = pending_[clip][index(reader)];
    if (pending.weights == nullptr || graph_.node(reader).inputs[0] != id) continue;
    EdgeInput& input = pending.input;
    input.channels = channels;
    const at::Tensor& known = scores_[index(reader)];
    at::Tensor found;
    if (known.defined()) {
      found = some_scores(known[static_cast<std::int64_t>(clip)], input);
    } else {
      input.entering = value.narrow(0, static_cast<std::int64_t>(clip), 1);
      input.positive = positive;
      found = edge_scores(*pending.weights, input);
    }
    relevance[index(reader)].edges = all_pairs_
                                         ? all_edges(pending.weights->op(), found, input)
                                         : select_edges(found, input, options_.edge_threshold);
    pending = {};
  }
}

}  // namespace cfp
