// Saliency tubes: where in space and time a layer's found channels look.
#pragma once

#include <span>
#include <vector>

#include "stages/core/pyramid.h"
#include "stages/network/walks.h"
#include "stages/pyramid/plan.h"
#include "stages/pyramid/routing.h"

namespace cfp {

/// Sums the excitation relevance of each layer's found channels (docs/method.md, section 5).
///
/// @param relevance by clip, by node, as a scorer gives it
/// @return by clip, by layer of the plan; [t, h, w] of the tensor that enters the layer, for a
///         classifier behind an average the tensor that is averaged
std::vector<std::vector<Tube>> excitation_tubes(
    const Executor& executor, const Trace& trace, std::span<const int> classes,
    const BoundedInput& input, const PyramidPlan& plan,
    const std::vector<std::vector<NodeRelevance>>& relevance);

}  // namespace cfp
