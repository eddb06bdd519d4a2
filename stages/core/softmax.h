// From logits to what people read.
#pragma once

#include <cmath>
#include <cstddef>
#include <span>

namespace cfp {

/// @return the probability that softmax gives to one class, 0..1
/// @param logits  [classes], finite
inline double softmax_probability(std::span<const float> logits, std::size_t index) {
  double sum = 0;
  for (const float logit : logits) sum += std::exp(double{logit} - double{logits[index]});
  return 1 / sum;
}

/// @return how many classes come before this one: those of a larger logit, and of an equal one
///         where their index is lower
inline std::size_t rank_of_class(std::span<const float> logits, std::size_t index) {
  std::size_t before = 0;
  for (std::size_t i = 0; i < logits.size(); ++i) {
    if (logits[i] > logits[index] || (logits[i] == logits[index] && i < index)) ++before;
  }
  return before;
}

}  // namespace cfp
