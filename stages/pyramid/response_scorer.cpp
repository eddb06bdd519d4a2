// Mean response, shared out from the class downwards: docs/method.md, section 2.
#include <algorithm>
#include <map>
#include <span>

#include <ATen/TensorOperators.h>
#include <ATen/ops/bmm.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>

#include "stages/pyramid/edges.h"
#include "stages/pyramid/scorers.h"
#include "stages/pyramid/selection.h"
#include "stages/pyramid/tap_means.h"

namespace cfp {
namespace {

using Row = std::vector<double>;

std::size_t index(std::int64_t i) { return static_cast<std::size_t>(i); }

/// What the layers of one clip respond on average.
class Responses {
 public:
  Responses(const TracedBatch& batch, std::size_t clip)
      : batch_(batch), clip_(static_cast<std::int64_t>(clip)) {}

  /// E of some kernels of a layer: [kernels, C_in/groups], row-major.
  Row edges(NodeId id, const std::vector<std::int64_t>& kernels) {
    const Convolution& conv = batch_.executor.layer(id);
    const std::int64_t groups = conv.op().groups, out = conv.op().out_channels / groups;
    std::vector<std::int64_t> group_of;
    for (const std::int64_t kernel : kernels) group_of.push_back(kernel / out);
    const at::Device device = conv.weight().device();
    const auto on_device = [&](const std::vector<std::int64_t>& list) {
      return at::tensor(list, at::kLong).to(device);
    };
    const at::Tensor weight = conv.weight().flatten(2).index_select(0, on_device(kernels));
    const at::Tensor seen =
        means(id).view({groups, weight.size(1), -1}).index_select(0, on_device(group_of));
    return to_row((weight * seen).sum(2));
  }

  /// Mean of a layer's own output, its bias included.
  Row own(NodeId id) {
    const Convolution& conv = batch_.executor.layer(id);
    const std::int64_t groups = conv.op().groups;
    const at::Tensor weight = conv.weight().view({groups, conv.op().out_channels / groups, -1});
    at::Tensor mean = at::bmm(weight, means(id).view({groups, -1, 1})).flatten();
    if (conv.bias().defined()) mean = mean + conv.bias();
    return to_row(mean);
  }

  /// Mean of a node's value.
  Row mean(NodeId id) const {
    return to_row(channel_means(batch_.trace.values[index(id)].narrow(0, clip_, 1)));
  }

 private:
  /// What the taps of a layer see: [C_in, taps] in the number type of its weights.
  const at::Tensor& means(NodeId id) {
    const Convolution& conv = batch_.executor.layer(id);
    at::Tensor& known = means_[id];
    if (!known.defined()) {
      const at::Tensor& x = batch_.trace.values[index(batch_.graph().node(id).inputs[0])];
      known = tap_means(x.narrow(0, clip_, 1), conv.op())[0].to(conv.weight().scalar_type());
    }
    return known;
  }

  static Row to_row(const at::Tensor& t) {
    const at::Tensor host = t.to(at::kCPU, at::kDouble).contiguous();
    return {host.data_ptr<double>(), host.data_ptr<double>() + host.numel()};
  }

  const TracedBatch& batch_;
  const std::int64_t clip_;
  std::map<NodeId, at::Tensor> means_;
};

/// Shares the relevance of one class out over the tensors below, for one clip.
class ResponseWalk {
 public:
  ResponseWalk(const TracedBatch& batch, std::size_t clip)
      : batch_(batch),
        graph_(batch.graph()),
        responses_(batch, clip),
        relevance_(index(graph_.size())) {
    for (NodeId id = 0; id < graph_.size(); ++id) {
      shares_.emplace_back(index(graph_.channels(id)), 0.0);
    }
  }

  std::vector<NodeRelevance> run(int class_index) {
    const std::vector<bool> on_path = plan_walk(graph_, batch_.plan.wanted).on_path;
    shares_[index(batch_.plan.classifier)][index(class_index)] = 1;
    for (NodeId id = batch_.plan.classifier; id >= 0; --id) {
      if (!on_path[index(id)]) continue;
      if (batch_.plan.wanted[index(id)]) {
        relevance_[index(id)].value = select(shares_[index(id)]);
        if (batch_.options.edges) join_into(id);
      }
      step(id);
    }
    mark_reached(graph_, batch_.plan.classifier, class_index, relevance_);
    return std::move(relevance_);
  }

 private:
  ChannelRelevance select(const Row& row) const {
    return select_channels(row, Row(row.size(), 0.0), batch_.options);
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
    if (batch_.plan.wanted[index(id)]) relevance_[index(id)].addends = {select(own), select(other)};
    return own;
  }

  /// What a kernel has goes to the channels that it sees, by their positive scores.
  void through_layer(NodeId id, const Row& row) {
    ChannelRelevance kernels = select(row);
    const std::vector<std::int64_t> found = found_channels(kernels);
    if (batch_.plan.layer_of_node[index(id)] >= 0) {
      relevance_[index(id)].kernels = std::move(kernels);
    }
    if (found.empty()) return;
    const Conv3d& op = batch_.executor.layer(id).op();
    const std::int64_t width = op.in_channels / op.groups, out = op.out_channels / op.groups;
    Row scores = responses_.edges(id, found);
    Row& below = shares_[index(graph_.node(id).inputs[0])];
    for (std::size_t k = 0; k < found.size(); ++k) {
      const std::span e = std::span(scores).subspan(k * index(width), index(width));
      double total = 0;
      for (const double score : e) total += std::max(score, 0.0);
      if (total <= 0) continue;  // what arrived here is lost
      const std::int64_t first = found[k] / out * width;
      for (std::int64_t j = 0; j < width; ++j) {
        below[index(first + j)] += row[index(found[k])] * std::max(e[index(j)], 0.0) / total;
      }
    }
    scores_[id] = std::move(scores);
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
      at::Tensor some = at::zeros({static_cast<std::int64_t>(input.kernels.size()),
                                   static_cast<std::int64_t>(channels.size())});
      for (std::size_t k = 0; k < input.kernels.size(); ++k) {
        const std::int64_t first = input.kernels[k] / out * width;
        for (std::size_t c = 0; c < channels.size(); ++c) {
          const std::int64_t j = channels[c] - first;
          if (j < 0 || j >= width) continue;
          some.data_ptr<float>()[k * channels.size() + c] =
              static_cast<float>(scores->second[k * index(width) + index(j)]);
        }
      }
      known.edges = select_edges(some, input, batch_.options.edge_threshold);
    }
  }

  const TracedBatch& batch_;
  const NetworkGraph& graph_;
  Responses responses_;
  std::vector<Row> shares_;       ///< by node: relevance of its value's channels
  std::map<NodeId, Row> scores_;  ///< by layer: E of its found kernels
  std::vector<NodeRelevance> relevance_;
};

/// What layers and sums on the way read.
std::vector<bool> values_to_respond(const NetworkGraph& graph, const PyramidPlan& plan) {
  const WalkPlan walk = plan_walk(graph, plan.wanted);
  std::vector<bool> keep = walk.keep;
  for (NodeId id = 0; id < graph.size(); ++id) {
    if (!walk.on_path[index(id)]) continue;
    for (const NodeId input : graph.node(id).inputs) keep[index(input)] = true;
  }
  return keep;
}

class ResponseScorer final : public Scorer {
 public:
  std::vector<bool> keep(const NetworkGraph& graph, const PyramidPlan& plan) const override {
    return values_to_respond(graph, plan);
  }

  Scores score(const TracedBatch& batch, const Targets& targets) const override {
    Scores scores;
    for (std::size_t clip = 0; clip < targets.classes.size(); ++clip) {
      scores.relevance.push_back(ResponseWalk(batch, clip).run(targets.classes[clip]));
    }
    return scores;
  }
};

}  // namespace

std::unique_ptr<Scorer> make_response_scorer() { return std::make_unique<ResponseScorer>(); }

}  // namespace cfp
