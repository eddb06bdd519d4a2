// The formula of the paper's released code, walked as a graph: docs/method.md, section 2.
#include <algorithm>
#include <functional>
#include <map>
#include <mutex>

#include <ATen/TensorOperators.h>

#include "stages/pyramid/published.h"
#include "stages/pyramid/scorers.h"
#include "stages/pyramid/selection.h"

namespace cfp {
namespace {

std::size_t index(std::int64_t i) { return static_cast<std::size_t>(i); }

/// Means over the taps of a network's weights, [C_out, C_in/groups] row-major: of the weights as
/// the checkpoint has them, without BatchNorm. They belong to the network, so they are made once.
class WeightMeans {
 public:
  const std::vector<float>& of(const Network& network, const Node& node) {
    const std::lock_guard lock(mutex_);
    std::vector<float>& means = means_[node.name];
    if (!means.empty()) return means;
    const WeightTensor& weight = network.weights.find(node.name + ".weight")->second;
    const std::int64_t rows = weight.shape[0] * weight.shape[1], taps = weight.elements() / rows;
    for (std::int64_t row = 0; row < rows; ++row) {
      double sum = 0;
      for (std::int64_t tap = 0; tap < taps; ++tap) sum += weight.data.get()[row * taps + tap];
      means.push_back(static_cast<float>(sum / static_cast<double>(taps)));
    }
    return means;
  }

 private:
  std::mutex mutex_;
  std::map<std::string, std::vector<float>> means_;
};

/// Visits from the class downwards the kernels that some kernel above has kept, for one clip.
class PublishedWalk {
 public:
  PublishedWalk(const TracedBatch& batch, const PyramidRequest& request, WeightMeans& weights,
                std::size_t clip)
      : batch_(batch),
        request_(request),
        graph_(batch.graph()),
        weights_(weights),
        clip_(static_cast<std::int64_t>(clip)),
        relevance_(index(graph_.size())) {
    for (NodeId id = 0; id < graph_.size(); ++id) {
      scores_.emplace_back(index(graph_.channels(id)), kNobody);
    }
  }

  std::vector<NodeRelevance> run(int class_index) {
    const std::vector<bool> on_path = plan_walk(graph_, request_.plan.wanted).on_path;
    const NodeId classifier = batch_.classifier();
    scores_[index(classifier)][index(class_index)] = 1;
    for (NodeId id = classifier; id >= 0; --id) {
      if (!on_path[index(id)]) continue;
      if (request_.wants(id)) relevance_[index(id)].value = kept(scores_[index(id)]);
      step(id, class_index);
    }
    mark_reached(graph_, classifier, class_index, relevance_);
    return std::move(relevance_);
  }

 private:
  /// A channel that no visited kernel keeps.
  static constexpr float kNobody = -1;

  /// A channel's score is the largest n that a visited kernel gave it.
  static ChannelRelevance kept(const std::vector<float>& scores) {
    ChannelRelevance result;
    for (const float score : scores) {
      result.score.push_back(std::max(score, 0.0F));
      result.found.push_back(score == kNobody ? 0 : 1);
    }
    result.positive = result.score;
    result.negative.assign(scores.size(), 0);
    result.reached.assign(scores.size(), 0);
    return result;
  }

  void step(NodeId id, int class_index) {
    const Node& node = graph_.node(id);
    const std::vector<float>& row = scores_[index(id)];
    if (is_layer(node)) {
      if (node.inputs.size() == 2) {
        raise(node.inputs[1], row);
        relevance_[index(id)].addends.assign(2, kept(row));
      }
      through_layer(id, class_index);
      return;
    }
    if (std::holds_alternative<Add>(node.op)) relevance_[index(id)].addends.assign(2, kept(row));
    for (std::size_t c = 0; c < row.size(); ++c) {
      if (row[c] == kNobody) continue;
      for (const ChannelSource& source : route_channel(graph_, id, static_cast<int>(c))) {
        float& below = scores_[index(source.node)][index(source.channel)];
        below = std::max(below, row[c]);
      }
    }
  }

  void raise(NodeId id, const std::vector<float>& row) {
    for (std::size_t c = 0; c < row.size(); ++c) {
      scores_[index(id)][c] = std::max(scores_[index(id)][c], row[c]);
    }
  }

  void through_layer(NodeId id, int class_index) {
    const Node& node = graph_.node(id);
    const NodeId input = node.inputs[0];
    const Conv3d& op = batch_.executor.layer(id).op();
    const std::size_t width = index(op.in_channels / op.groups),
                      out = index(op.out_channels / op.groups);
    const std::vector<float>& weights = weights_.of(batch_.network, node);
    const std::vector<float> means = means_of(input);
    const ChannelRelevance kernels = kept(scores_[index(id)]);
    std::vector<Edge> edges;
    for (const std::int64_t kernel : found_channels(kernels)) {
      const std::size_t first = index(kernel) / out * width;
      const std::vector<double> scores =
          id == batch_.classifier()
              ? published_class_scores(weights, width, class_index)
              : published_scores(std::span(weights).subspan(index(kernel) * width, width),
                                 std::span(means).subspan(first, width));
      for (const std::size_t channel : kept_channels(scores)) {
        const auto score = static_cast<float>(scores[channel]);
        edges.push_back({static_cast<std::uint32_t>(kernel),
                         static_cast<std::uint32_t>(first + channel), score});
        float& below = scores_[index(input)][first + channel];
        below = std::max(below, score);
      }
    }
    if (!request_.has_layer(id)) return;
    relevance_[index(id)].kernels = kernels;
    if (request_.options.edges) relevance_[index(id)].edges = std::move(edges);
  }

  /// Channels with n >= theta, at most top_n of them, ascending.
  std::vector<std::size_t> kept_channels(const std::vector<double>& scores) const {
    std::vector<std::size_t> kept(scores.size());
    std::size_t count = 0;
    for (std::size_t c = 0; c < scores.size(); ++c) {  // no branch: there is no telling which
      kept[count] = c;
      count += scores[c] >= request_.options.threshold ? 1 : 0;
    }
    kept.resize(count);
    const auto most = index(request_.options.top_n);
    if (most > 0 && kept.size() > most) {
      std::ranges::stable_sort(kept, std::greater<>(), [&](std::size_t c) { return scores[c]; });
      kept.resize(most);
      std::ranges::sort(kept);
    }
    return kept;
  }

  std::vector<float> means_of(NodeId id) const {
    const at::Tensor means =
        batch_.trace.means[index(id)].at(Window{})[clip_].to(at::kFloat).contiguous();
    return {means.data_ptr<float>(), means.data_ptr<float>() + means.numel()};
  }

  const TracedBatch& batch_;
  const PyramidRequest& request_;
  const NetworkGraph& graph_;
  WeightMeans& weights_;
  const std::int64_t clip_;
  std::vector<std::vector<float>> scores_;  ///< by node, by channel
  std::vector<NodeRelevance> relevance_;
};

class PublishedScorer final : public Scorer {
 public:
  ForwardPlan needs(const NetworkGraph& graph, const std::vector<bool>& wanted) const override {
    const std::vector<bool> on_path = plan_walk(graph, wanted).on_path;
    ForwardPlan needed{{}, std::vector<std::vector<Window>>(on_path.size())};
    for (NodeId id = 0; id < graph.size(); ++id) {
      if (!on_path[index(id)] || !is_layer(graph.node(id))) continue;
      needed.windows[index(graph.node(id).inputs[0])] = {Window{}};
    }
    return needed;
  }

  bool reads_means_alone() const override { return true; }

  std::vector<Scores> score(const TracedBatch& batch, const Targets& targets) const override {
    std::vector<Scores> scores;
    for (const PyramidRequest& request : batch.requests) {
      Scores& of = scores.emplace_back();
      for (std::size_t clip = 0; clip < targets.classes.size(); ++clip) {
        PublishedWalk walk(batch, request, weights_, clip);
        of.relevance.push_back(walk.run(targets.classes[clip]));
      }
    }
    return scores;
  }

 private:
  mutable WeightMeans weights_;
};

}  // namespace

std::unique_ptr<Scorer> make_published_scorer() { return std::make_unique<PublishedScorer>(); }

}  // namespace cfp
