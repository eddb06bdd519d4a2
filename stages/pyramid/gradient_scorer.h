// The default scorer: relevance and edges of every tensor and layer of a plan, clip by clip.
#pragma once

#include <span>
#include <vector>

#include "stages/network/walks.h"
#include "stages/pyramid/plan.h"
#include "stages/pyramid/routing.h"

namespace cfp {

/// Scores a traced batch by gradient times value (docs/method.md, "gradient").
///
/// @param weights [B, classes]: what of the logits is explained
/// @param classes the class that is the root of each clip's pyramid
/// @return by clip, by node
std::vector<std::vector<NodeRelevance>> score_gradient(const Executor& executor,
                                                       const Trace& trace,
                                                       const at::Tensor& weights,
                                                       std::span<const int> classes,
                                                       const PyramidPlan& plan,
                                                       const ExplainOptions& options);

}  // namespace cfp
