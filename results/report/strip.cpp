#include "results/report/strip.h"

#include <algorithm>

namespace cfp {
namespace {

/// White between two frames of a strip, so that the heat of one does not seem to be the next one's.
constexpr std::int64_t kGapPx = 2;

/// Mean of the source pixels that each pixel of a smaller picture covers.
std::vector<std::uint8_t> shrink(const std::uint8_t* rgb, std::int64_t height, std::int64_t width,
                                 std::int64_t to_height, std::int64_t to_width) {
  std::vector<std::uint8_t> out(static_cast<std::size_t>(to_height * to_width * 3));
  for (std::int64_t y = 0; y < to_height; ++y) {
    const std::int64_t y0 = y * height / to_height, y1 = (y + 1) * height / to_height;
    for (std::int64_t x = 0; x < to_width; ++x) {
      const std::int64_t x0 = x * width / to_width, x1 = (x + 1) * width / to_width;
      const std::int64_t area = (y1 - y0) * (x1 - x0);
      for (std::int64_t c = 0; c < 3; ++c) {
        std::int64_t sum = area / 2;
        for (std::int64_t v = y0; v < y1; ++v) {
          for (std::int64_t u = x0; u < x1; ++u) sum += rgb[(v * width + u) * 3 + c];
        }
        out[static_cast<std::size_t>((y * to_width + x) * 3 + c)] =
            static_cast<std::uint8_t>(sum / area);
      }
    }
  }
  return out;
}

}  // namespace

std::uint8_t* Strip::row(std::int64_t i, std::int64_t y) {
  return rgb.data() + (y * width + i * (frame_width + kGapPx)) * 3;
}

std::vector<std::int64_t> evenly_spread(std::int64_t available, std::int64_t wanted) {
  std::vector<std::int64_t> chosen;
  const std::int64_t count = std::min(available, wanted);
  for (std::int64_t i = 0; i < count; ++i) {
    chosen.push_back(count == 1 ? available / 2 : i * (available - 1) / (count - 1));
  }
  return chosen;
}

Strip make_strip(const Frames& frames, const std::vector<std::int64_t>& chosen,
                 std::int64_t max_height, std::int64_t min_height) {
  // Frames wider than four times the height are shrunk further: encoders have a largest width.
  const std::int64_t max_width = std::min(frames.width, 4 * max_height);
  const std::int64_t height = std::clamp<std::int64_t>(frames.height * max_width / frames.width, 1,
                                                       std::min(frames.height, max_height));
  const std::int64_t width =
      std::clamp<std::int64_t>(frames.width * height / frames.height, 1, max_width);
  // By a whole number, and never past what encoders take.
  const std::int64_t times = std::clamp<std::int64_t>(
      (min_height + height - 1) / height, 1, std::max<std::int64_t>(1, 4 * max_height / width));
  const auto count = static_cast<std::int64_t>(chosen.size());
  Strip strip{times * height, count * (times * width + kGapPx) - kGapPx, times * width, {}};
  strip.rgb.assign(static_cast<std::size_t>(strip.height * strip.width * 3), 255);
  for (std::int64_t i = 0; i < count; ++i) {
    const std::vector<std::uint8_t> small =
        shrink(frames.frame(chosen[static_cast<std::size_t>(i)]), frames.height, frames.width,
               height, width);
    for (std::int64_t y = 0; y < strip.height; ++y) {
      const std::uint8_t* from = small.data() + y / times * width * 3;
      std::uint8_t* to = strip.row(i, y);
      for (std::int64_t x = 0; x < strip.frame_width; ++x) {
        std::copy_n(from + x / times * 3, 3, to + x * 3);
      }
    }
  }
  return strip;
}

Strip draw_heat(Strip strip, const HeatMap& heat, const std::vector<std::int64_t>& chosen,
                DrawHeat draw) {
  for (std::size_t i = 0; i < chosen.size(); ++i) {
    const std::vector<float> values = heat.frame(chosen[i]);
    for (std::int64_t y = 0; y < strip.height; ++y) {
      std::uint8_t* row = strip.row(static_cast<std::int64_t>(i), y);
      draw(row, values.data() + y * strip.frame_width, strip.frame_width, row);
    }
  }
  return strip;
}

Strip stack(const std::vector<Strip>& strips) {
  Strip all{0, strips.at(0).width, strips.at(0).frame_width, {}};
  for (const Strip& strip : strips) {
    if (all.height > 0) {
      all.rgb.resize(all.rgb.size() + static_cast<std::size_t>(kGapPx * all.width * 3), 255);
      all.height += kGapPx;
    }
    all.rgb.insert(all.rgb.end(), strip.rgb.begin(), strip.rgb.end());
    all.height += strip.height;
  }
  return all;
}

}  // namespace cfp
