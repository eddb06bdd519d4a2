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
#include "stages/pyramid/scorer.h"

namespace cfp {

/// What 8-bit values become: x * scale + shift, channel by channel.
struct Normalisation {
  at::Tensor scale, shift;  ///< [3]
  std::shared_ptr<const BoundedInput> input;
};

Normalisation normalisation_of(const PreprocessOptions& options, at::Device device);

/// What is explained of a row: the same for all its views.
struct RowTarget {
  int class_index = 0;
  at::Tensor weights;  ///< [classes]: the target is weights * logits
};

struct ExplainerParts {
  std::shared_ptr<const Network> network;
  ExplainOptions options;
  DeviceOptions device_options;
  at::Device device;
  std::shared_ptr<const Executor> executor;
  std::shared_ptr<const Scorer> scorer;
  PyramidPlan plan;
  ForwardPlan needs;  ///< of scorer and tubes
  Normalisation normalisation;

  /// Clips of one size as one normalised batch [B, 3, T, H, W].
  at::Tensor to_batch(std::span<const Clip> clips) const;

  /// How many pyramids each clip gets.
  int rounds() const;
  /// Whether the target depends on what the network says of a row.
  bool target_needs_logits(const ClipRequest& row) const;
  /// @param logits [classes]: of the row; not read where target_needs_logits() denies it
  RowTarget target(const ClipRequest& row, const at::Tensor& logits, int round) const;

  TracedBatch traced(const Trace& trace, const ExplainOptions& with) const {
    return {*executor, *network, trace, *normalisation.input, plan, with, {}};
  }
  /// The tubes that the options ask for, where the scorer has not found them on its way.
  std::vector<std::vector<Tube>> tubes(
      const Trace& trace, std::span<const int> classes,
      const std::vector<std::vector<NodeRelevance>>& relevance) const;

  /// @param tubes  by layer of the plan; null: none
  Pyramid assemble(std::vector<NodeRelevance>& relevance, std::vector<Tube>* tubes,
                   const RowTarget& target, double value) const;
};

}  // namespace cfp
