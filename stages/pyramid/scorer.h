// How kernels and channels are scored: one interface, a file a method.
//
//   const std::unique_ptr<Scorer> scorer = make_scorer("gradient");
//   const std::vector<PyramidRequest> requests = {{options, plan_pyramid(graph, options)}};
//   const Trace trace = executor.forward(clips, scorer->needs(graph, wanted_by_any(requests)));
//   Scores scores = scorer->score({executor, network, trace, input, requests, {}}, targets)[0];
//
// A new method is a class of its own and a line in scorer.cpp.
//
// Note [Several requests of one walk]
// Pyramids of one method and target that differ in what is found (threshold, top_n, balance), in
// depth or in what is kept of them are made of the same backward walk: it goes as deep as the
// deepest, scores the edges between all that any of them finds, and each takes its own.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "stages/core/explain_options.h"
#include "stages/network/walks.h"
#include "stages/pyramid/plan.h"
#include "stages/pyramid/routing.h"

namespace cfp {

/// A batch of clips after its forward pass, and what is asked of it.
struct TracedBatch {
  const Executor& executor;
  const Network& network;  ///< weights as the checkpoint has them
  const Trace& trace;
  const BoundedInput& input;
  std::span<const PyramidRequest> requests;  ///< at least one
  /// By clip, by node: what counts as found in it, instead of what its own scores say. The edges
  /// are then all signed scores between what is found, whatever their size. Empty: its own. For one
  /// request alone.
  std::vector<const std::vector<NodeRelevance>*> common;

  const NetworkGraph& graph() const { return executor.graph(); }
  NodeId classifier() const { return requests.front().plan.classifier; }
};

/// One target for each clip of a batch.
struct Targets {
  at::Tensor weights;        ///< [B, classes]: the target is weights * logits
  std::vector<int> classes;  ///< the class that is the root of each clip's pyramid
};

struct Scores {
  std::vector<std::vector<NodeRelevance>> relevance;  ///< by clip, by node
  /// By clip, by layer of the plan: excitation tubes that the scorer found on its way; may be
  /// empty.
  std::vector<std::vector<Tube>> tubes;
};

class Scorer {
 public:
  virtual ~Scorer() = default;

  /// @param wanted by node: the values that pyramids cover
  /// @return what the forward pass must leave behind for score()
  virtual ForwardPlan needs(const NetworkGraph& graph, const std::vector<bool>& wanted) const = 0;

  /// Whether score() reads nothing of a trace but its means: then it can be asked about the means
  /// of several clips, and not about `common`.
  virtual bool reads_means_alone() const { return false; }

  /// Scores every tensor and layer of the requests' plans, each clip as if it were alone, and marks
  /// what is reached.
  /// @return one a request
  virtual std::vector<Scores> score(const TracedBatch& batch, const Targets& targets) const = 0;
};

/// @throws ConfigError no scorer has that name; lists those there are
std::unique_ptr<Scorer> make_scorer(std::string_view name);

/// @return the names that make_scorer() takes
std::vector<std::string> scorer_names();

}  // namespace cfp
