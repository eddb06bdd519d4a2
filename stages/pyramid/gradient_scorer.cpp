// The default scorer: docs/method.md, section 2.
#include "stages/network/tensor_kernels.h"
#include "stages/pyramid/pending_edges.h"
#include "stages/pyramid/scorers.h"
#include "stages/pyramid/selection.h"

namespace cfp {
namespace {

std::size_t index(std::int64_t i) { return static_cast<std::size_t>(i); }

/// Sums of a whole batch in the memory that the CPU reads.
ChannelSums on_host(const ChannelSums& sums) {
  return {sums.positive.cpu().contiguous(), sums.negative.cpu().contiguous()};
}

ChannelRelevance select(const ChannelSums& sums, std::size_t clip, const ExplainOptions& options) {
  const auto row = [&](const at::Tensor& t) {
    return std::span(t.data_ptr<double>() + static_cast<std::int64_t>(clip) * t.size(1),
                     index(t.size(1)));
  };
  return select_channels(row(sums.positive), row(sums.negative), options);
}

/// Listens to the walk and keeps of every tensor what the pyramids need of it.
class GradientListener {
 public:
  GradientListener(const TracedBatch& batch, std::span<const int> classes)
      : batch_(batch),
        classes_(classes),
        wanted_(wanted_by_any(batch.requests)),
        found_(batch, classes.size()),
        edges_(batch, found_) {}

  const std::vector<bool>& wanted() const { return wanted_; }

  void visit(NodeId id, const NodeGradient& output) {
    if (!wanted_[index(id)]) return;
    for (const auto& [layer, scores] : output.scores) edges_.scores(layer, scores);
    select_at(id, output);
    for (std::size_t clip = 0; clip < classes_.size(); ++clip) {
      if (is_layer(batch_.graph().node(id))) {
        const Convolution& layer = batch_.executor.layer(id);
        edges_.remember(id, clip, layer,
                        layer.scores_with_gradient() ? at::Tensor() : output.gradient);
      }
      edges_.finish(id, clip, batch_.trace.values[index(id)], false);
    }
  }

  /// The found kernels of a layer, if its edges are asked for.
  KernelMasks scores_wanted(NodeId id) const {
    KernelMasks masks;
    for (std::size_t clip = 0; clip < classes_.size(); ++clip) {
      std::vector<std::uint8_t> mask = found_.kernels_with_edges(clip, id);
      if (mask.empty()) return {};
      masks.push_back(std::move(mask));
    }
    return masks;
  }

  std::vector<Scores> take() { return found_.take(classes_); }

 private:
  void select_at(NodeId id, const OutputGradient& output) {
    const ChannelSums value = on_host(output.value);
    ChannelSums kernels, addend;
    if (output.kernels.positive.defined()) kernels = on_host(output.kernels);
    if (output.addend.positive.defined()) addend = on_host(output.addend);
    for (std::size_t clip = 0; clip < classes_.size(); ++clip) {
      for (std::size_t r = 0; r < batch_.requests.size(); ++r) {
        const PyramidRequest& request = batch_.requests[r];
        if (!request.wants(id)) continue;
        const ExplainOptions& options = request.options;
        NodeRelevance& known = found_.of(clip, r, id);
        known.value = select(value, clip, options);
        if (request.has_layer(id)) known.kernels = select(kernels, clip, options);
        if (id == batch_.classifier() && known.kernels) {
          root_at(classes_[clip], *known.kernels);
          root_at(classes_[clip], *known.value);
        }
        if (addend.positive.defined()) {
          known.addends = {select(kernels, clip, options), select(addend, clip, options)};
        }
        if (!batch_.common.empty()) find_what((*batch_.common[clip])[index(id)], known);
      }
    }
  }

  const TracedBatch& batch_;
  std::span<const int> classes_;
  std::vector<bool> wanted_;
  FoundRelevance found_;
  PendingEdges edges_;
};

class GradientScorer final : public Scorer {
 public:
  ForwardPlan needs(const NetworkGraph& graph, const std::vector<bool>& wanted) const override {
    return {plan_walk(graph, wanted).keep, {}};
  }

  std::vector<Scores> score(const TracedBatch& batch, const Targets& targets) const override {
    GradientListener listener(batch, targets.classes);
    walk_gradient(
        batch.executor, batch.trace, targets.weights, plan_walk(batch.graph(), listener.wanted()),
        [&](NodeId id, const NodeGradient& output) { listener.visit(id, output); },
        [&](NodeId id) { return listener.scores_wanted(id); });
    return listener.take();
  }
};

}  // namespace

std::unique_ptr<Scorer> make_gradient_scorer() { return std::make_unique<GradientScorer>(); }

}  // namespace cfp
