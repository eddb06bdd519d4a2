// From logits to what people read.
#pragma once

#include <cmath>
#include <cstddef>
#include <span>
#include <vector>

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

/// What a network says of a row: the mean of the logits of its views, each sum in double and in
/// the views' order, so that whoever has the views gets the same bits.
///
/// @param views  by view: [classes]; at least one
inline std::vector<float> mean_logits(std::span<const std::vector<float>> views) {
  std::vector<float> means(views.front().size());
  for (std::size_t c = 0; c < means.size(); ++c) {
    double sum = 0;
    for (const std::vector<float>& view : views) sum += view[c];
    means[c] = static_cast<float>(sum / static_cast<double>(views.size()));
  }
  return means;
}

}  // namespace cfp
