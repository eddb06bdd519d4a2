#include "stages/pyramid/published.h"

#include <algorithm>

namespace cfp {

std::vector<double> published_scores(std::span<const float> weight_means,
                                     std::span<const float> value_means) {
  std::vector<double> scores;
  double total = 0;
  for (std::size_t j = 0; j < weight_means.size(); ++j) {
    scores.push_back(double{weight_means[j]} * double{value_means[j]});
    total += scores.back();
  }
  for (double& score : scores) score /= total;
  const auto [low, high] = std::ranges::minmax(scores);
  for (double& score : scores) score = (score - low) / (high - low);
  return scores;
}

std::vector<double> published_class_scores(std::span<const float> weights, std::size_t channels,
                                           int class_index) {
  const auto [low, high] = std::ranges::minmax(weights);
  std::vector<double> scores;
  for (const float w :
       weights.subspan(static_cast<std::size_t>(class_index) * channels, channels)) {
    scores.push_back((double{w} - low) / (double{high} - low));
  }
  return scores;
}

}  // namespace cfp
