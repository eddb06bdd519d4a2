#include "stages/pyramid/published.h"

#include <algorithm>
#include <cstdint>

#include "stages/network/multiversion.h"

namespace cfp {
namespace {

CFP_MULTIVERSION void multiply(const float* __restrict a, const float* __restrict b, std::size_t n,
                               double* __restrict products) {
  for (std::size_t i = 0; i < n; ++i) products[i] = double{a[i]} * double{b[i]};
}

CFP_MULTIVERSION void divide(double* __restrict values, std::size_t n, double total) {
  for (std::size_t i = 0; i < n; ++i) values[i] /= total;
}

CFP_MULTIVERSION void stretch(double* __restrict values, std::size_t n, double low, double high) {
  for (std::size_t i = 0; i < n; ++i) values[i] = (values[i] - low) / (high - low);
}

struct Extremes {
  double low, high;
};

/// Lane by lane, so that comparisons need not wait for one another.
CFP_MULTIVERSION Extremes extremes(const double* __restrict values, std::size_t n) {
  constexpr std::size_t kLanes = 16;
  double low[kLanes], high[kLanes];
  for (std::size_t lane = 0; lane < kLanes; ++lane) low[lane] = high[lane] = values[0];
  std::size_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
      const double v = values[i + lane];
      low[lane] = v < low[lane] ? v : low[lane];
      high[lane] = v > high[lane] ? v : high[lane];
    }
  }
  for (; i < n; ++i) {
    low[0] = std::min(low[0], values[i]);
    high[0] = std::max(high[0], values[i]);
  }
  return {*std::min_element(low, low + kLanes), *std::max_element(high, high + kLanes)};
}

}  // namespace

std::vector<double> published_scores(std::span<const float> weight_means,
                                     std::span<const float> value_means) {
  const std::size_t n = weight_means.size();
  std::vector<double> scores(n);
  if (n == 0) return scores;
  multiply(weight_means.data(), value_means.data(), n, scores.data());
  double total = 0;
  for (const double p : scores) total += p;
  divide(scores.data(), n, total);
  const auto [low, high] = extremes(scores.data(), n);
  stretch(scores.data(), n, low, high);
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
