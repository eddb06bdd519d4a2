// What an Explainer holds, and the steps that its passes are made of. Private to this room.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include <ATen/core/Tensor.h>

#include "stages/core/clip.h"
#include "stages/core/explain_options.h"
#include "stages/core/preprocess.h"
#include "stages/core/pyramid.h"
#include "stages/network/network.h"
#include "stages/network/walks.h"
#include "stages/pyramid/explainer.h"
#include "stages/pyramid/plan.h"
#include "stages/pyramid/row_target.h"
#include "stages/pyramid/scorer.h"

namespace cfp {

/// What 8-bit values become: x * scale + shift, channel by channel.
struct Normalisation {
  at::Tensor scale, shift;  ///< [3]
  std::shared_ptr<const BoundedInput> input;
};

Normalisation normalisation_of(const PreprocessOptions& options, at::Device device);

/// Requests of one method and one target: see Note [Several requests of one walk].
struct SharedWalk {
  std::shared_ptr<const Scorer> scorer;
  std::vector<PyramidRequest> requests;
  std::vector<std::size_t> places;  ///< by request: which one of all that were asked for it is

  /// What the requests have in common.
  const ExplainOptions& target() const { return requests.front().options; }
};

struct ExplainerParts {
  std::shared_ptr<const Network> network;
  DeviceOptions device_options;
  at::Device device;
  std::shared_ptr<const Executor> executor;
  std::vector<SharedWalk> walks;
  std::size_t asked;   ///< requests of all walks
  ViewPyramids views;  ///< of all requests
  ForwardPlan needs;   ///< of all scorers and tubes
  Normalisation normalisation;

  /// Clips of one size as one normalised batch [B, 3, T, H, W].
  at::Tensor to_batch(std::span<const Clip> clips) const;

  TracedBatch traced(const Trace& trace, std::span<const PyramidRequest> requests) const {
    return {*executor, *network, trace, *normalisation.input, requests, {}};
  }
  /// Finds the tubes that the requests ask for, where the scorer has not found them on its way.
  /// @param scores  by request
  void add_tubes(const Trace& trace, std::span<const int> classes,
                 std::span<const PyramidRequest> requests, std::span<Scores> scores) const;

  /// @param tubes  by layer of the plan; null: none
  Pyramid assemble(const PyramidRequest& request, std::vector<NodeRelevance>& relevance,
                   std::vector<Tube>* tubes, const RowTarget& target, double value) const;
};

}  // namespace cfp
