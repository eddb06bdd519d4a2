// Mean response, shared out from the class downwards: docs/method.md, section 2.
#include <algorithm>
#include <map>
#include <span>

#include <ATen/TensorOperators.h>
#include <ATen/ops/zeros.h>

#include "stages/pyramid/edges.h"
#include "stages/pyramid/mean_shares.h"
#include "stages/pyramid/scorers.h"
#include "stages/pyramid/selection.h"

namespace cfp {
namespace {

using Row = std::vector<double>;

std::size_t index(std::int64_t i) { return static_cast<std::size_t>(i); }

/// What the layers of one clip respond on average.
class Responses {
 public:
  Responses(const TracedBatch& batch, std::size_t clip)
      : batch_(batch), clip_(static_cast<std::int64_t>(clip)) {}

  /// What kernels of a layer with that relevance give to the channels below.
  MeanShares share(NodeId id, const std::vector<std::int64_t>& kernels,
                   const std::vector<double>& relevance) const {
    return share_by_means({batch_.executor.layer(id), seen_by(id), kernels, relevance});
  }

  /// Mean of a layer's own output, its bias included.
  Row own(NodeId id) const { return to_row(mean_outputs(batch_.executor.layer(id), seen_by(id))); }

  /// Mean of a node's value.
  Row mean(NodeId id) const { return to_row(seen_by(id, Window{})); }

 private:
  /// What the taps of a window see of a value: [C_in, taps], like the weights.
  at::Tensor seen_by(NodeId value, const Window& window) const {
    return batch_.trace.means[index(value)].at(window)[clip_].to(batch_.trace.logits.options());
  }

  at::Tensor seen_by(NodeId layer) const {
    return seen_by(batch_.graph().node(layer).inputs[0],
                   window_of(batch_.executor.layer(layer).op()));
  }

  static Row to_row(const at::Tensor& t) {
    const at::Tensor host = t.to(at::kCPU, at::kDouble).contiguous();
    return {host.data_ptr<double>(), host.data_ptr<double>() + host.numel()};
  }

  const TracedBatch& batch_;
  const std::int64_t clip_;
};

/// Shares the relevance of one class out over the tensors below, for one clip.
class ResponseWalk {
 public:
  ResponseWalk(const TracedBatch& batch, const PyramidRequest& request, std::size_t clip)
      : batch_(batch),
        request_(request),
        graph_(batch.graph()),
        responses_(batch, clip),
        relevance_(index(graph_.size())) {
    for (NodeId id = 0; id < graph_.size(); ++id) {
      shares_.emplace_back(index(graph_.channels(id)), 0.0);
    }
  }

  std::vector<NodeRelevance> run(int class_index) {
    const std::vector<bool> on_path = plan_walk(graph_, request_.plan.wanted).on_path;
    shares_[index(batch_.classifier())][index(class_index)] = 1;
    for (NodeId id = batch_.classifier(); id >= 0; --id) {
      if (!on_path[index(id)]) continue;
      if (request_.wants(id)) {
        relevance_[index(id)].value = select(shares_[index(id)]);
        if (request_.options.edges) join_into(id);
      }
      step(id);
    }
    mark_reached(graph_, batch_.classifier(), class_index, relevance_);
    return std::move(relevance_);
  }

 private:
  ChannelRelevance select(const Row& row) const {
    return select_channels(row, {}, request_.options);
  }

  void step(NodeId id) {
    const Node& node = graph_.node(id);
    const bool layer = is_layer(node);
    const bool sum = std::holds_alternative<Add>(node.op) || (layer && node.inputs.size() == 2);
    const Row row = sum ? first_addend(id) : shares_[index(id)];
    if (layer) {
      through_layer(id, row);
    } else if (sum) {
      add_to(node.inputs[0], row);
    } else {
      for (std::size_t c = 0; c < row.size(); ++c) {
        for (const ChannelSource& source : route_channel(graph_, id, static_cast<int>(c))) {
          shares_[index(source.node)][index(source.channel)] += row[c];
        }
      }
    }
  }

  void add_to(NodeId id, const Row& row) {
    for (std::size_t c = 0; c < row.size(); ++c) shares_[index(id)][c] += row[c];
  }

  /// Splits a sum's shares by the positive means of its addends, evenly where none is positive, and
  /// gives the second addend its part.
  /// @return the first addend's part
  Row first_addend(NodeId id) {
    const Node& node = graph_.node(id);
    const Row first = is_layer(node) ? responses_.own(id) : responses_.mean(node.inputs[0]);
    const Row second = responses_.mean(node.inputs[1]);
    const Row& all = shares_[index(id)];
    Row own(all.size()), other(all.size());
    for (std::size_t c = 0; c < all.size(); ++c) {
      const double a = std::max(first[c], 0.0), b = std::max(second[c], 0.0);
      own[c] = all[c] * (a + b > 0 ? a / (a + b) : 0.5);
      other[c] = all[c] - own[c];
    }
    add_to(node.inputs[1], other);
    if (request_.wants(id)) relevance_[index(id)].addends = {select(own), select(other)};
    return own;
  }

  /// What a kernel has goes to the channels that it sees, by their positive scores.
  void through_layer(NodeId id, const Row& row) {
    ChannelRelevance kernels = select(row);
    const std::vector<std::int64_t> found = found_channels(kernels);
    if (request_.has_layer(id)) {
      relevance_[index(id)].kernels = std::move(kernels);
    }
    if (found.empty()) return;
    Row relevance;
    for (const std::int64_t kernel : found) relevance.push_back(row[index(kernel)]);
    MeanShares shares = responses_.share(id, found, relevance);
    add_to(graph_.node(id).inputs[0], shares.below);
    scores_[id] = std::move(shares.scores);
  }

  /// Edges of the layers that read a node, between found kernels and found channels.
  void join_into(NodeId id) {
    const std::vector<std::int64_t> channels = found_channels(*relevance_[index(id)].value);
    for (const NodeId reader : graph_.readers(id)) {
      NodeRelevance& known = relevance_[index(reader)];
      const auto scores = scores_.find(reader);
      if (!known.kernels || scores == scores_.end() || graph_.node(reader).inputs[0] != id)
        continue;
      const Conv3d& op = batch_.executor.layer(reader).op();
      const std::int64_t width = op.in_channels / op.groups, out = op.out_channels / op.groups;
      const EdgeInput input{.kernels = found_channels(*known.kernels), .channels = channels};
      const at::Tensor some = at::zeros({static_cast<std::int64_t>(input.kernels.size()),
                                         static_cast<std::int64_t>(channels.size())});
      float* to = some.data_ptr<float>();
      const float* row = scores->second.data_ptr<float>();
      for (const std::int64_t kernel : input.kernels) {
        const std::int64_t first = kernel / out * width;
        for (std::size_t c = 0; c < channels.size(); ++c) {
          const std::int64_t j = channels[c] - first;
          if (j >= 0 && j < width) to[c] = row[j];
        }
        to += channels.size();
        row += width;
      }
      known.edges = select_edges(some, input, request_.options.edge_threshold);
    }
  }

  const TracedBatch& batch_;
  const PyramidRequest& request_;
  const NetworkGraph& graph_;
  Responses responses_;
  std::vector<Row> shares_;              ///< by node: relevance of its value's channels
  std::map<NodeId, at::Tensor> scores_;  ///< by layer: E of its found kernels
  std::vector<NodeRelevance> relevance_;
};

/// What layers see, and the addends of sums.
ForwardPlan responses_needed(const NetworkGraph& graph, const std::vector<bool>& wanted) {
  const std::vector<bool> on_path = plan_walk(graph, wanted).on_path;
  ForwardPlan needed{{}, std::vector<std::vector<Window>>(index(graph.size()))};
  for (NodeId id = 0; id < graph.size(); ++id) {
    if (!on_path[index(id)]) continue;
    const Node& node = graph.node(id);
    const auto add = [&](std::size_t input, const Window& window) {
      needed.windows[index(node.inputs[input])].push_back(window);
    };
    const auto* conv = std::get_if<Conv3d>(&node.op);
    const bool sum = std::holds_alternative<Add>(node.op);
    if (is_layer(node)) add(0, conv != nullptr ? window_of(*conv) : Window{});
    if (sum) add(0, {});
    if ((sum || is_layer(node)) && node.inputs.size() == 2) add(1, {});
  }
  for (std::vector<Window>& windows : needed.windows) {
    std::ranges::sort(windows);
    windows.erase(std::unique(windows.begin(), windows.end()), windows.end());
  }
  return needed;
}

class ResponseScorer final : public Scorer {
 public:
  ForwardPlan needs(const NetworkGraph& graph, const std::vector<bool>& wanted) const override {
    return responses_needed(graph, wanted);
  }

  bool reads_means_alone() const override { return true; }

  std::vector<Scores> score(const TracedBatch& batch, const Targets& targets) const override {
    std::vector<Scores> scores;
    for (const PyramidRequest& request : batch.requests) {
      Scores& of = scores.emplace_back();
      for (std::size_t clip = 0; clip < targets.classes.size(); ++clip) {
        of.relevance.push_back(ResponseWalk(batch, request, clip).run(targets.classes[clip]));
      }
    }
    return scores;
  }
};

}  // namespace

std::unique_ptr<Scorer> make_response_scorer() { return std::make_unique<ResponseScorer>(); }

}  // namespace cfp
