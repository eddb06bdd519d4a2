#include "results/report/overlay.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <string>
#include <utility>

namespace cfp {
namespace {

/// The two cells that a position of the larger axis lies between, and how near it is to the second.
struct Neighbours {
  std::int64_t first = 0, second = 0;
  float second_weight = 0;
};

/// Cells for every position of an axis that grows or shrinks from `from` to `to`.
std::vector<Neighbours> neighbours(std::int64_t from, std::int64_t to) {
  std::vector<Neighbours> all(static_cast<std::size_t>(to));
  const double scale = static_cast<double>(from) / static_cast<double>(to);
  for (std::int64_t i = 0; i < to; ++i) {
    const double position = std::max((static_cast<double>(i) + 0.5) * scale - 0.5, 0.0);
    const std::int64_t first = std::min(static_cast<std::int64_t>(position), from - 1);
    all[static_cast<std::size_t>(i)] = {first, std::min(first + 1, from - 1),
                                        static_cast<float>(position - static_cast<double>(first))};
  }
  return all;
}

/// The cells of all three axes that a tube's values at another size lie between.
struct Grid {
  std::vector<Neighbours> t, y, x;

  Grid(const Tube& tube, std::int64_t length, std::int64_t height, std::int64_t width)
      : t(neighbours(tube.length, length)),
        y(neighbours(tube.height, height)),
        x(neighbours(tube.width, width)) {}
};

/// In this form no two finite numbers overflow.
float between(float a, float b, float b_weight) { return a * (1 - b_weight) + b * b_weight; }

void require_sizes(const Tube& tube, std::int64_t length, std::int64_t height, std::int64_t width) {
  if (tube.length < 1 || tube.height < 1 || tube.width < 1 || length < 1 || height < 1 ||
      width < 1 ||
      tube.values.size() != static_cast<std::size_t>(tube.length * tube.height * tube.width)) {
    throw std::invalid_argument("cannot draw a tube of " + std::to_string(tube.length) + "x" +
                                std::to_string(tube.height) + "x" + std::to_string(tube.width) +
                                " (" + std::to_string(tube.values.size()) + " values) at " +
                                std::to_string(length) + "x" + std::to_string(height) + "x" +
                                std::to_string(width));
  }
}

/// One frame of the larger size.
/// @return behind what was written
float* upsample_frame(const Tube& tube, const Neighbours& t, const Grid& grid, float* target) {
  for (const Neighbours& y : grid.y) {
    const auto row = [&](std::int64_t in_t, std::int64_t in_y) {
      return tube.values.data() + (in_t * tube.height + in_y) * tube.width;
    };
    const float* const row00 = row(t.first, y.first);
    const float* const row01 = row(t.first, y.second);
    const float* const row10 = row(t.second, y.first);
    const float* const row11 = row(t.second, y.second);
    for (const Neighbours& x : grid.x) {
      const auto along_x = [&x](const float* cells) {
        return between(cells[x.first], cells[x.second], x.second_weight);
      };
      *target++ =
          between(between(along_x(row00), along_x(row01), y.second_weight),
                  between(along_x(row10), along_x(row11), y.second_weight), t.second_weight);
    }
  }
  return target;
}

struct Stop {
  float heat, red, green, blue;
};
constexpr Stop kStops[] = {{0.00F, 0, 0, 0},
                           {0.25F, 84, 20, 120},
                           {0.50F, 196, 52, 84},
                           {0.75F, 246, 146, 36},
                           {1.00F, 252, 250, 170}};

/// The hottest places still show a quarter of the frame.
constexpr float kMaxCover = 0.75F;

/// What is left of the light of the coldest places: enough to see where one is.
constexpr float kDarkest = 0.1F;

}  // namespace

std::string_view to_string(HeatStatus status) {
  switch (status) {
    case HeatStatus::kDrawn:
      return "drawn";
    case HeatStatus::kConstant:
      return "constant";
    case HeatStatus::kNotFinite:
      return "not finite";
  }
  throw std::logic_error("HeatStatus out of range");
}

std::vector<float> upsample_trilinear(const Tube& tube, std::int64_t length, std::int64_t height,
                                      std::int64_t width) {
  require_sizes(tube, length, height, width);
  const Grid grid(tube, length, height, width);
  std::vector<float> out(static_cast<std::size_t>(length * height * width));
  float* target = out.data();
  for (const Neighbours& t : grid.t) target = upsample_frame(tube, t, grid, target);
  return out;
}

HeatMap::HeatMap(Tube tube, std::int64_t length, std::int64_t height, std::int64_t width)
    : tube_(std::move(tube)), length_(length), height_(height), width_(width) {
  require_sizes(tube_, length, height, width);
  const bool finite = std::all_of(tube_.values.begin(), tube_.values.end(),
                                  [](float value) { return std::isfinite(value); });
  if (!finite) {
    status_ = HeatStatus::kNotFinite;
    return;
  }
  const Grid grid(tube_, length, height, width);
  std::vector<float> values(static_cast<std::size_t>(height * width));
  float smallest = std::numeric_limits<float>::max(), largest = -smallest;
  for (const Neighbours& t : grid.t) {
    upsample_frame(tube_, t, grid, values.data());
    const auto [low, high] = std::minmax_element(values.begin(), values.end());
    smallest = std::min(smallest, *low);
    largest = std::max(largest, *high);
  }
  smallest_ = smallest;
  range_ = double{largest} - double{smallest};
  // Interpolating equal values must not turn rounding into a picture.
  const auto [cell_min, cell_max] = std::minmax_element(tube_.values.begin(), tube_.values.end());
  if (!(*cell_max > *cell_min) || !(range_ > 0)) status_ = HeatStatus::kConstant;
}

std::vector<float> HeatMap::frame(std::int64_t t) const {
  if (t < 0 || t >= length_) {
    throw std::invalid_argument("frame " + std::to_string(t) + " of a heat map of " +
                                std::to_string(length_));
  }
  std::vector<float> values(static_cast<std::size_t>(height_ * width_), 0.0F);
  if (status_ != HeatStatus::kDrawn) return values;
  const Grid grid(tube_, length_, height_, width_);
  upsample_frame(tube_, grid.t[static_cast<std::size_t>(t)], grid, values.data());
  for (float& value : values) {
    value = static_cast<float>((double{value} - smallest_) / range_);
  }
  return values;
}

std::array<std::uint8_t, 3> heat_colour(float heat) {
  const float clamped = std::clamp(heat, 0.0F, 1.0F);
  std::size_t i = 1;
  while (i + 1 < std::size(kStops) && kStops[i].heat < clamped) ++i;
  const Stop &low = kStops[i - 1], &high = kStops[i];
  const float share = (clamped - low.heat) / (high.heat - low.heat);
  const auto level = [share](float a, float b) {
    return static_cast<std::uint8_t>(std::lround(between(a, b, share)));
  };
  return {level(low.red, high.red), level(low.green, high.green), level(low.blue, high.blue)};
}

void blend_heat(const std::uint8_t* rgb, const float* heat, std::int64_t pixels,
                std::uint8_t* out) {
  for (std::int64_t i = 0; i < pixels; ++i) {
    const std::array<std::uint8_t, 3> colour = heat_colour(heat[i]);
    const float cover = kMaxCover * std::clamp(heat[i], 0.0F, 1.0F);
    for (std::int64_t c = 3 * i; c < 3 * i + 3; ++c) {
      out[c] = static_cast<std::uint8_t>(
          std::lround(between(rgb[c], colour[static_cast<std::size_t>(c - 3 * i)], cover)));
    }
  }
}

void keep_focus(const std::uint8_t* rgb, const float* heat, std::int64_t pixels,
                std::uint8_t* out) {
  for (std::int64_t i = 0; i < pixels; ++i) {
    // The root: most of a tube lies far below its peak, and would be as good as black.
    const float light = between(kDarkest, 1, std::sqrt(std::clamp(heat[i], 0.0F, 1.0F)));
    for (std::int64_t c = 3 * i; c < 3 * i + 3; ++c) {
      out[c] = static_cast<std::uint8_t>(std::lround(light * rgb[c]));
    }
  }
}

}  // namespace cfp
