// The scorers there are. Private to this room: others ask make_scorer().
#pragma once

#include <memory>

#include "stages/pyramid/scorer.h"

namespace cfp {

/// Gradient times value: what speaks for the target, and what against it.
std::unique_ptr<Scorer> make_gradient_scorer();
/// Positive relevance, position by position.
std::unique_ptr<Scorer> make_excitation_scorer();
/// Mean response, shared out from the class downwards; needs no backward pass.
std::unique_ptr<Scorer> make_response_scorer();
/// The formula of the paper's released code.
std::unique_ptr<Scorer> make_published_scorer();

}  // namespace cfp
