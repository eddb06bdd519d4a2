// Positive relevance, position by position: docs/method.md, section 2.
#include <ATen/TensorOperators.h>

#include "stages/network/tensor_kernels.h"
#include "stages/pyramid/pending_edges.h"
#include "stages/pyramid/scorers.h"
#include "stages/pyramid/selection.h"
#include "stages/pyramid/tubes.h"

namespace cfp {
namespace {

std::size_t index(std::int64_t i) { return static_cast<std::size_t>(i); }

/// Listens to the walk of positive relevance.
class ExcitationListener {
 public:
  ExcitationListener(const TracedBatch& batch, const Targets& targets)
      : batch_(batch),
        targets_(targets),
        relevance_(targets.classes.size(), std::vector<NodeRelevance>(index(batch.graph().size()))),
        edges_(batch.graph(), batch.plan, batch.options, targets.classes.size(),
               !batch.common.empty()),
        tubes_(batch.plan, targets.classes.size()) {}

  void value(NodeId id, const at::Tensor& relevance) {
    if (!batch_.plan.wanted[index(id)]) return;
    const at::Tensor sums = channel_sums(relevance);
    for (std::size_t clip = 0; clip < relevance_.size(); ++clip) {
      relevance_[clip][index(id)].value = select(sums, clip);
      find_common(id, clip);
      edges_.finish(id, clip, batch_.trace.values[index(id)], true, relevance_[clip]);
    }
    if (batch_.options.tubes == TubeKind::kExcitation) tubes_.add(id, relevance, relevance_);
  }

  void addends(NodeId id, const AddendRelevance& parts) {
    if (!batch_.plan.wanted[index(id)]) return;
    const at::Tensor first = channel_sums(parts.first), second = channel_sums(parts.residual);
    for (std::size_t clip = 0; clip < relevance_.size(); ++clip) {
      relevance_[clip][index(id)].addends = {select(first, clip), select(second, clip)};
    }
  }

  /// The found kernels of a layer that reads the clip, if its edges are asked for.
  KernelMasks scores_wanted(NodeId id, const at::Tensor& relevance) const {
    KernelMasks masks;
    if (!batch_.options.edges || batch_.plan.layer_of_node[index(id)] < 0) return masks;
    const at::Tensor sums = channel_sums(relevance);
    for (std::size_t clip = 0; clip < relevance_.size(); ++clip) {
      masks.push_back(batch_.common.empty() ? select(sums, clip).found
                                            : (*batch_.common[clip])[index(id)].kernels->found);
    }
    return masks;
  }

  void layer(NodeId id, const LayerExcitation& layer) {
    if (batch_.plan.layer_of_node[index(id)] < 0) return;
    const at::Tensor sums = channel_sums(layer.relevance);
    if (layer.scores.defined()) edges_.scores(id, layer.scores);
    const Convolution& weights =
        layer.weights != nullptr ? *layer.weights : batch_.executor.layer(id);
    for (std::size_t clip = 0; clip < relevance_.size(); ++clip) {
      NodeRelevance& known = relevance_[clip][index(id)];
      known.kernels = select(sums, clip);
      if (id == batch_.plan.classifier) {
        root_at(targets_.classes[clip], *known.kernels);
        known.value = known.kernels;
      }
      find_common(id, clip);
      edges_.remember(id, clip, weights, found_channels(*known.kernels),
                      layer.scores.defined() ? at::Tensor() : layer.share);
    }
  }

  Scores take() {
    Scores scores{std::move(relevance_), {}};
    if (batch_.options.tubes == TubeKind::kExcitation) scores.tubes = tubes_.take();
    return scores;
  }

 private:
  /// S = R: nothing speaks against the class here.
  ChannelRelevance select(const at::Tensor& sums, std::size_t clip) const {
    const at::Tensor row = sums[static_cast<std::int64_t>(clip)].cpu().contiguous();
    return select_channels({row.data_ptr<double>(), index(row.numel())}, {}, batch_.options);
  }

  void find_common(NodeId id, std::size_t clip) {
    if (batch_.common.empty()) return;
    find_what((*batch_.common[clip])[index(id)], relevance_[clip][index(id)]);
  }

  const TracedBatch& batch_;
  const Targets& targets_;
  std::vector<std::vector<NodeRelevance>> relevance_;
  PendingEdges edges_;
  ExcitationTubes tubes_;
};

class ExcitationScorer final : public Scorer {
 public:
  ForwardPlan needs(const NetworkGraph& graph, const PyramidPlan& plan) const override {
    return {plan_walk(graph, plan.wanted).keep, {}};
  }

  Scores score(const TracedBatch& batch, const Targets& targets) const override {
    ExcitationListener listener(batch, targets);
    const ExcitationVisitor visit{
        .value = [&](NodeId id, const at::Tensor& r) { listener.value(id, r); },
        .addends = [&](NodeId id, const AddendRelevance& parts) { listener.addends(id, parts); },
        .layer = [&](NodeId id, const LayerExcitation& layer) { listener.layer(id, layer); },
        .scores_wanted = [&](NodeId id,
                             const at::Tensor& r) { return listener.scores_wanted(id, r); }};
    walk_excitation(batch.executor, batch.trace, targets.classes, batch.input,
                    plan_walk(batch.graph(), batch.plan.wanted), visit);
    Scores scores = listener.take();
    for (std::size_t clip = 0; clip < targets.classes.size(); ++clip) {
      mark_reached(batch.graph(), batch.plan.classifier, targets.classes[clip],
                   scores.relevance[clip]);
    }
    return scores;
  }
};

}  // namespace

std::unique_ptr<Scorer> make_excitation_scorer() { return std::make_unique<ExcitationScorer>(); }

}  // namespace cfp
