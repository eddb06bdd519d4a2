#include "stages/pyramid/pending_edges.h"

#include <algorithm>

#include "stages/network/tensor_kernels.h"
#include "stages/pyramid/selection.h"

namespace cfp {
namespace {

std::size_t index(std::int64_t i) { return static_cast<std::size_t>(i); }

std::vector<std::int64_t> indices_of(const std::vector<std::uint8_t>& mask) {
  std::vector<std::int64_t> indices;
  for (std::size_t i = 0; i < mask.size(); ++i) {
    if (mask[i]) indices.push_back(static_cast<std::int64_t>(i));
  }
  return indices;
}

/// Where each of `some` stands in `all`; both ascending.
std::vector<std::int64_t> positions(const std::vector<std::int64_t>& some,
                                    const std::vector<std::int64_t>& all) {
  std::vector<std::int64_t> where;
  for (const std::int64_t each : some) {
    where.push_back(std::ranges::lower_bound(all, each) - all.begin());
  }
  return where;
}

}  // namespace

PendingEdges::PendingEdges(const TracedBatch& batch, FoundRelevance& found)
    : batch_(batch),
      found_(found),
      pending_(found.clips(), std::vector<Pending>(index(batch.graph().size()))),
      scores_(index(batch.graph().size())) {}

void PendingEdges::remember(NodeId layer, std::size_t clip, const Convolution& weights,
                            const at::Tensor& s) {
  std::vector<std::int64_t> kernels = indices_of(found_.kernels_with_edges(clip, layer));
  if (kernels.empty()) return;
  Pending& pending = pending_[clip][index(layer)];
  pending.weights = &weights;
  if (s.defined()) {
    pending.input.gradient = gather_channels(s, static_cast<std::int64_t>(clip), kernels);
  }
  pending.input.kernels = std::move(kernels);
}

void PendingEdges::scores(NodeId layer, const at::Tensor& all) { scores_[index(layer)] = all; }

std::vector<std::int64_t> PendingEdges::channels_of(NodeId id, std::size_t clip) const {
  std::vector<std::uint8_t> any;
  for (std::size_t r = 0; r < batch_.requests.size(); ++r) {
    if (!batch_.requests[r].options.edges || !batch_.requests[r].wants(id)) continue;
    const std::vector<std::uint8_t>& found = found_.of(clip, r, id).value->found;
    any.resize(found.size());
    for (std::size_t c = 0; c < found.size(); ++c) any[c] |= found[c];
  }
  return indices_of(any);
}

std::vector<Edge> PendingEdges::edges_of(const PyramidRequest& request, NodeId reader,
                                         const at::Tensor& scores, const EdgeInput& all,
                                         const EdgeInput& own) const {
  const bool is_all = own.kernels == all.kernels && own.channels == all.channels;
  const at::Tensor found =
      is_all ? scores
             : some_scores(scores, {.kernels = positions(own.kernels, all.kernels),
                                    .channels = positions(own.channels, all.channels)});
  return batch_.common.empty() ? select_edges(found, own, request.options.edge_threshold)
                               : all_edges(batch_.executor.layer(reader).op(), found, own);
}

void PendingEdges::finish(NodeId id, std::size_t clip, const at::Tensor& value, bool positive) {
  const std::vector<std::int64_t> channels = channels_of(id, clip);
  if (channels.empty()) return;
  for (const NodeId reader : batch_.graph().readers(id)) {
    Pending& pending = pending_[clip][index(reader)];
    if (pending.weights == nullptr || batch_.graph().node(reader).inputs[0] != id) continue;
    EdgeInput& input = pending.input;
    input.channels = channels;
    const at::Tensor& known = scores_[index(reader)];
    at::Tensor scores;
    if (known.defined()) {
      scores = some_scores(known[static_cast<std::int64_t>(clip)], input);
    } else {
      input.entering = value.narrow(0, static_cast<std::int64_t>(clip), 1);
      input.positive = positive;
      scores = edge_scores(*pending.weights, input);
    }
    scores = scores.cpu();
    for (std::size_t r = 0; r < batch_.requests.size(); ++r) {
      const PyramidRequest& request = batch_.requests[r];
      if (!request.options.edges || !request.has_layer(reader)) continue;
      NodeRelevance& layer = found_.of(clip, r, reader);
      const EdgeInput own{.kernels = found_channels(*layer.kernels),
                          .channels = found_channels(*found_.of(clip, r, id).value)};
      if (own.kernels.empty() || own.channels.empty()) continue;
      layer.edges = edges_of(request, reader, scores, input, own);
    }
    pending = {};
  }
}

}  // namespace cfp
