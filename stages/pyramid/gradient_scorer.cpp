// The default scorer: docs/method.md, section 2.
#include "stages/network/tensor_kernels.h"
#include "stages/pyramid/pending_edges.h"
#include "stages/pyramid/scorers.h"
#include "stages/pyramid/selection.h"

namespace cfp {
namespace {

std::size_t index(std::int64_t i) { return static_cast<std::size_t>(i); }

/// Listens to the walk and keeps of every tensor what the pyramid needs of it.
class GradientListener {
 public:
  GradientListener(const TracedBatch& batch, std::span<const int> classes)
      : executor_(batch.executor),
        graph_(batch.graph()),
        trace_(batch.trace),
        classes_(classes),
        plan_(batch.plan),
        options_(batch.options),
        common_(batch.common),
        result_(classes.size(), std::vector<NodeRelevance>(index(graph_.size()))),
        edges_(graph_, batch.plan, batch.options, classes.size(), !batch.common.empty()) {}

  void visit(NodeId id, const NodeGradient& output) {
    if (!plan_.wanted[index(id)]) return;
    for (const auto& [layer, scores] : output.scores) edges_.scores(layer, scores);
    for (std::size_t clip = 0; clip < classes_.size(); ++clip) {
      select(id, clip, output);
      if (plan_.layer_of_node[index(id)] >= 0) remember_kernels(id, clip, output.gradient);
      edges_.finish(id, clip, trace_.values[index(id)], false, result_[clip]);
    }
  }

  /// The found kernels of a layer, if its edges are asked for.
  KernelMasks scores_wanted(NodeId id) const {
    KernelMasks masks;
    if (!options_.edges || plan_.layer_of_node[index(id)] < 0) return masks;
    for (const auto& clip : result_) masks.push_back(clip[index(id)].kernels->found);
    return masks;
  }

  std::vector<std::vector<NodeRelevance>> take() { return std::move(result_); }

 private:
  ChannelRelevance select(const ChannelSums& sums, std::size_t clip) const {
    const auto row = [&](const at::Tensor& t) {
      return std::span(t.data_ptr<double>() + static_cast<std::int64_t>(clip) * t.size(1),
                       index(t.size(1)));
    };
    return select_channels(row(sums.positive), row(sums.negative), options_);
  }

  void select(NodeId id, std::size_t clip, const OutputGradient& output) {
    const auto host = [](const ChannelSums& s) {
      return ChannelSums{s.positive.cpu().contiguous(), s.negative.cpu().contiguous()};
    };
    NodeRelevance& known = result_[clip][index(id)];
    known.value = select(host(output.value), clip);
    const bool layer = plan_.layer_of_node[index(id)] >= 0;
    if (layer) {
      known.kernels = select(host(output.kernels), clip);
      if (id == plan_.classifier) {
        root_at(classes_[clip], *known.kernels);
        root_at(classes_[clip], *known.value);
      }
    }
    if (output.addend.positive.defined()) {
      known.addends = {select(host(output.kernels), clip), select(host(output.addend), clip)};
    }
    if (!common_.empty()) find_what((*common_[clip])[index(id)], known);
  }

  void remember_kernels(NodeId id, std::size_t clip, const at::Tensor& gradient) {
    const Convolution& layer = executor_.layer(id);
    edges_.remember(id, clip, layer, found_channels(*result_[clip][index(id)].kernels),
                    layer.scores_with_gradient() ? at::Tensor() : gradient);
  }

  const Executor& executor_;
  const NetworkGraph& graph_;
  const Trace& trace_;
  std::span<const int> classes_;
  const PyramidPlan& plan_;
  const ExplainOptions& options_;
  const std::vector<const std::vector<NodeRelevance>*>& common_;
  std::vector<std::vector<NodeRelevance>> result_;
  PendingEdges edges_;
};

class GradientScorer final : public Scorer {
 public:
  ForwardPlan needs(const NetworkGraph& graph, const PyramidPlan& plan) const override {
    return {plan_walk(graph, plan.wanted).keep, {}};
  }

  Scores score(const TracedBatch& batch, const Targets& targets) const override {
    GradientListener listener(batch, targets.classes);
    walk_gradient(
        batch.executor, batch.trace, targets.weights, plan_walk(batch.graph(), batch.plan.wanted),
        [&](NodeId id, const NodeGradient& output) { listener.visit(id, output); },
        [&](NodeId id) { return listener.scores_wanted(id); });
    Scores scores{listener.take(), {}};
    for (std::size_t clip = 0; clip < targets.classes.size(); ++clip) {
      mark_reached(batch.graph(), batch.plan.classifier, targets.classes[clip],
                   scores.relevance[clip]);
    }
    return scores;
  }
};

}  // namespace

std::unique_ptr<Scorer> make_gradient_scorer() { return std::make_unique<GradientScorer>(); }

}  // namespace cfp
