#include "results/store/steps.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>

namespace cfp {

std::uint16_t Steps::to_stored(float value) const {
  if (!(range_ > 0) || !std::isfinite(range_) || !std::isfinite(value)) return 0;
  const float share = std::clamp((value - minimum_) / range_, 0.0F, 1.0F);
  return static_cast<std::uint16_t>(std::lround(share * count_));
}

float Steps::from_stored(float steps) const {
  return steps == 0 ? minimum_ : minimum_ + steps / count_ * range_;
}

int step_count(StoredAs stored) {
  switch (stored) {
    case StoredAs::kFloat32:
      return 0;
    case StoredAs::kUInt16:
      return 65535;
    case StoredAs::kUInt8:
      return 255;
  }
  throw std::logic_error("StoredAs out of range");
}

float largest_score(std::span<const Edge> edges) {
  float largest = 0;
  for (const Edge& edge : edges) largest = std::max(largest, edge.score);
  return largest;
}

std::uint16_t to_stored_score(const Steps& steps, float score) {
  return std::max<std::uint16_t>(1, steps.to_stored(score));
}

void round_as_stored(ClipResult& result, const StoreOptions& options) {
  const int tube_steps = step_count(options.tube_values);
  const int edge_steps = step_count(options.edge_scores);
  for (Pyramid& pyramid : result.pyramids) {
    for (PyramidLayer& layer : pyramid.layers) {
      if (tube_steps > 0) {
        const Steps steps(layer.tube.minimum, layer.tube.maximum, tube_steps);
        for (float& value : layer.tube.values) value = steps.from_stored(steps.to_stored(value));
      }
      if (edge_steps > 0) {
        const Steps steps(0, largest_score(layer.edges), edge_steps);
        for (Edge& edge : layer.edges) {
          edge.score = steps.from_stored(to_stored_score(steps, edge.score));
        }
      }
    }
  }
}

}  // namespace cfp
