// Positive relevance, position by position: docs/method.md, section 2.
#include <algorithm>

#include <ATen/TensorOperators.h>

#include "stages/network/tensor_kernels.h"
#include "stages/pyramid/pending_edges.h"
#include "stages/pyramid/scorers.h"
#include "stages/pyramid/selection.h"
#include "stages/pyramid/tubes.h"

namespace cfp {
namespace {

std::size_t index(std::int64_t i) { return static_cast<std::size_t>(i); }

/// S = R: nothing speaks against the class here.
/// @param sums  [B, C] on the CPU
ChannelRelevance select(const at::Tensor& sums, std::size_t clip, const ExplainOptions& options) {
  const std::size_t channels = index(sums.size(1));
  return select_channels({sums.data_ptr<double>() + clip * channels, channels}, {}, options);
}

at::Tensor sums_on_host(const at::Tensor& relevance) {
  return channel_sums(relevance).cpu().contiguous();
}

/// Listens to the walk of positive relevance.
class ExcitationListener {
 public:
  ExcitationListener(const TracedBatch& batch, const Targets& targets)
      : batch_(batch),
        targets_(targets),
        wanted_(wanted_by_any(batch.requests)),
        found_(batch, targets.classes.size()),
        edges_(batch, found_) {
    for (const PyramidRequest& request : batch.requests) {
      tubes_.emplace_back(request.plan, targets.classes.size());
      on_path_.push_back(plan_walk(batch.graph(), request.plan.wanted).on_path);
    }
  }

  const std::vector<bool>& wanted() const { return wanted_; }

  void value(NodeId id, const at::Tensor& relevance) {
    if (!wanted_[index(id)]) return;
    const at::Tensor sums = sums_on_host(relevance);
    for (std::size_t clip = 0; clip < found_.clips(); ++clip) {
      for_each_request(id, clip, [&](const PyramidRequest& request, NodeRelevance& known) {
        known.value = select(sums, clip, request.options);
      });
      edges_.finish(id, clip, batch_.trace.values[index(id)], true);
    }
    for (std::size_t r = 0; r < tubes_.size(); ++r) {
      if (batch_.requests[r].options.tubes != TubeKind::kExcitation) continue;
      tubes_[r].add(
          id, relevance, [&](std::size_t clip, NodeId entering) -> const auto& {
            return *found_.of(clip, r, entering).value;
          });
    }
  }

  void addends(NodeId id, const AddendRelevance& parts) {
    if (!wanted_[index(id)]) return;
    const at::Tensor first = sums_on_host(parts.first), second = sums_on_host(parts.residual);
    for (std::size_t r = 0; r < batch_.requests.size(); ++r) {
      if (!batch_.requests[r].wants(id) || !goes_below(r, id)) continue;
      const ExplainOptions& options = batch_.requests[r].options;
      for (std::size_t clip = 0; clip < found_.clips(); ++clip) {
        found_.of(clip, r, id).addends = {select(first, clip, options),
                                          select(second, clip, options)};
      }
    }
  }

  /// The found kernels of a layer that reads the clip, if its edges are asked for.
  KernelMasks scores_wanted(NodeId id, const at::Tensor& relevance) {
    find_kernels(id, sums_on_host(relevance));
    KernelMasks masks;
    for (std::size_t clip = 0; clip < found_.clips(); ++clip) {
      std::vector<std::uint8_t> mask = found_.kernels_with_edges(clip, id);
      if (mask.empty()) return {};
      masks.push_back(std::move(mask));
    }
    return masks;
  }

  void layer(NodeId id, const LayerExcitation& layer) {
    find_kernels(id, sums_on_host(layer.relevance));
    if (layer.scores.defined()) edges_.scores(id, layer.scores);
    const Convolution& weights =
        layer.weights != nullptr ? *layer.weights : batch_.executor.layer(id);
    for (std::size_t clip = 0; clip < found_.clips(); ++clip) {
      edges_.remember(id, clip, weights, layer.scores.defined() ? at::Tensor() : layer.share);
    }
  }

  std::vector<Scores> take() {
    std::vector<Scores> scores = found_.take(targets_.classes);
    for (std::size_t r = 0; r < scores.size(); ++r) {
      if (batch_.requests[r].options.tubes == TubeKind::kExcitation) {
        scores[r].tubes = tubes_[r].take();
      }
    }
    return scores;
  }

 private:
  /// Whether the walk of a request alone would not end at a node.
  bool goes_below(std::size_t request, NodeId id) const {
    return std::ranges::any_of(batch_.graph().node(id).inputs,
                               [&](NodeId input) { return bool{on_path_[request][index(input)]}; });
  }

  template <class Use>
  void for_each_request(NodeId id, std::size_t clip, const Use& use) {
    for (std::size_t r = 0; r < batch_.requests.size(); ++r) {
      if (!batch_.requests[r].wants(id)) continue;
      NodeRelevance& known = found_.of(clip, r, id);
      use(batch_.requests[r], known);
      if (!batch_.common.empty()) find_what((*batch_.common[clip])[index(id)], known);
    }
  }

  void find_kernels(NodeId id, const at::Tensor& sums) {
    for (std::size_t clip = 0; clip < found_.clips(); ++clip) {
      for_each_request(id, clip, [&](const PyramidRequest& request, NodeRelevance& known) {
        if (!request.has_layer(id)) return;
        known.kernels = select(sums, clip, request.options);
        if (id != batch_.classifier()) return;
        root_at(targets_.classes[clip], *known.kernels);
        known.value = known.kernels;
      });
    }
  }

  const TracedBatch& batch_;
  const Targets& targets_;
  std::vector<bool> wanted_;
  FoundRelevance found_;
  PendingEdges edges_;
  std::vector<ExcitationTubes> tubes_;      ///< by request
  std::vector<std::vector<bool>> on_path_;  ///< by request: of its walk alone, by node
};

class ExcitationScorer final : public Scorer {
 public:
  ForwardPlan needs(const NetworkGraph& graph, const std::vector<bool>& wanted) const override {
    return {plan_walk(graph, wanted).keep, {}};
  }

  std::vector<Scores> score(const TracedBatch& batch, const Targets& targets) const override {
    ExcitationListener listener(batch, targets);
    const ExcitationVisitor visit{
        .value = [&](NodeId id, const at::Tensor& r) { listener.value(id, r); },
        .addends = [&](NodeId id, const AddendRelevance& parts) { listener.addends(id, parts); },
        .layer = [&](NodeId id, const LayerExcitation& layer) { listener.layer(id, layer); },
        .scores_wanted = [&](NodeId id,
                             const at::Tensor& r) { return listener.scores_wanted(id, r); }};
    walk_excitation(batch.executor, batch.trace, targets.classes, batch.input,
                    plan_walk(batch.graph(), listener.wanted()), visit);
    return listener.take();
  }
};

}  // namespace

std::unique_ptr<Scorer> make_excitation_scorer() { return std::make_unique<ExcitationScorer>(); }

}  // namespace cfp
