#include "stages/pyramid/gradient_scorer.h"

#include "stages/network/tensor_kernels.h"
#include "stages/pyramid/edges.h"
#include "stages/pyramid/selection.h"

namespace cfp {
namespace {

std::size_t index(std::int64_t i) { return static_cast<std::size_t>(i); }

/// Listens to the walk and keeps of every tensor what the pyramid needs of it.
class GradientScorer {
 public:
  GradientScorer(const Executor& executor, const Trace& trace, std::span<const int> classes,
                 const PyramidPlan& plan, const ExplainOptions& options)
      : executor_(executor),
        graph_(executor.graph()),
        trace_(trace),
        classes_(classes),
        plan_(plan),
        options_(options),
        result_(classes.size(), std::vector<NodeRelevance>(index(graph_.size()))),
        pending_(classes.size(), std::vector<EdgeInput>(index(graph_.size()))) {}

  void visit(NodeId id, const NodeGradient& output) {
    if (!plan_.wanted[index(id)]) return;
    for (std::size_t clip = 0; clip < classes_.size(); ++clip) {
      select(id, clip, output);
      if (plan_.layer_of_node[index(id)] >= 0 && options_.edges) {
        remember_gradient(id, clip, output.gradient);
      }
      if (options_.edges) finish_edges_into(id, clip, output.scores);
    }
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
      if (id == plan_.classifier) root_at(classes_[clip], *known.kernels, *known.value);
    }
    if (output.addend.positive.defined()) {
      known.addends = {select(host(output.kernels), clip), select(host(output.addend), clip)};
    }
  }

  /// The class is where the pyramid begins, whatever the sign of its logit.
  static void root_at(int class_index, ChannelRelevance& kernels, ChannelRelevance& value) {
    for (ChannelRelevance* relevance : {&kernels, &value}) {
      relevance->found.assign(relevance->found.size(), 0);
      relevance->found[index(class_index)] = 1;
    }
  }

  void remember_gradient(NodeId id, std::size_t clip, const at::Tensor& gradient) {
    EdgeInput& pending = pending_[clip][index(id)];
    pending.kernels = found_channels(*result_[clip][index(id)].kernels);
    if (pending.kernels.empty() || executor_.layer(id).scores_with_gradient()) return;
    pending.gradient = gather_channels(gradient, static_cast<std::int64_t>(clip), pending.kernels);
  }

  /// All readers of this value have been visited: their edges can be told.
  /// @param scores of layers whose scores the walk found on its way
  void finish_edges_into(NodeId id, std::size_t clip,
                         const std::map<NodeId, at::Tensor>& scores) {
    const auto row = static_cast<std::int64_t>(clip);
    const std::vector<std::int64_t> channels = found_channels(*result_[clip][index(id)].value);
    at::Tensor entering;
    for (const NodeId reader : graph_.readers(id)) {
      if (plan_.layer_of_node[index(reader)] < 0 || graph_.node(reader).inputs[0] != id) continue;
      EdgeInput& pending = pending_[clip][index(reader)];
      if (pending.kernels.empty() || channels.empty()) continue;
      pending.channels = channels;
      const auto known = scores.find(reader);
      if (known == scores.end() && !entering.defined()) {
        entering = gather_channels(trace_.values[index(id)], row, channels);
      }
      pending.entering = entering;
      const at::Tensor found = known == scores.end()
                                   ? edge_scores(executor_.layer(reader), pending)
                                   : some_scores(known->second[row], pending);
      result_[clip][index(reader)].edges =
          select_edges(found, pending, options_.edge_threshold);
      pending = {};
    }
  }

  const Executor& executor_;
  const NetworkGraph& graph_;
  const Trace& trace_;
  std::span<const int> classes_;
  const PyramidPlan& plan_;
  const ExplainOptions& options_;
  std::vector<std::vector<NodeRelevance>> result_;
  std::vector<std::vector<EdgeInput>> pending_;
};

}  // namespace

std::vector<std::vector<NodeRelevance>> score_gradient(const Executor& executor,
                                                       const Trace& trace,
                                                       const at::Tensor& weights,
                                                       std::span<const int> classes,
                                                       const PyramidPlan& plan,
                                                       const ExplainOptions& options) {
  GradientScorer scorer(executor, trace, classes, plan, options);
  walk_gradient(executor, trace, weights, plan_walk(executor.graph(), plan.wanted),
                [&](NodeId id, const NodeGradient& output) { scorer.visit(id, output); });
  auto result = scorer.take();
  for (std::size_t clip = 0; clip < classes.size(); ++clip) {
    mark_reached(executor.graph(), plan.classifier, classes[clip], result[clip]);
  }
  return result;
}

}  // namespace cfp
