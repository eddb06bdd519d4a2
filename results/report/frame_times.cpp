#include "results/report/frame_times.h"

#include <algorithm>
#include <cstddef>

namespace cfp {
namespace {

constexpr double kShortest_s = 1e-4;

/// Lower of the two in the middle, where there are two.
double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>((values.size() - 1) / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

}  // namespace

std::vector<ShownFrame> shown_frames(const std::vector<double>& times_s) {
  std::vector<ShownFrame> frames(times_s.size());
  std::vector<double> known_s;
  for (std::size_t begin = 0, end = 0; begin < times_s.size(); begin = end) {
    while (end < times_s.size() && times_s[end] == times_s[begin]) ++end;
    if (end == times_s.size() || times_s[end] < times_s[begin]) continue;
    const double share_s = (times_s[end] - times_s[begin]) / static_cast<double>(end - begin);
    for (std::size_t i = begin; i < end; ++i) {
      frames[i].duration_s = std::max(share_s, kShortest_s);
      known_s.push_back(frames[i].duration_s);
    }
  }
  const double usual_s = known_s.empty() ? kFrameWithoutPace_s : median(std::move(known_s));
  double start_s = 0;
  for (ShownFrame& frame : frames) {
    if (frame.duration_s == 0) frame.duration_s = usual_s;
    frame.start_s = start_s;
    start_s += frame.duration_s;
  }
  return frames;
}

}  // namespace cfp
