// Positions that the same taps meet are added up together: of a 3x3x3 window 27 groups (the
// corners, edges, faces and the inside), each number in one of them. A tap's sum is the sum of its
// groups.
#include "stages/network/tap_means_cpu.h"

#include <algorithm>
#include <array>
#include <map>
#include <vector>

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>

#include "stages/network/multiversion.h"
#include "stages/network/taps.h"

namespace cfp::cpu {
namespace {

using std::int64_t;

std::size_t index(int64_t i) { return static_cast<std::size_t>(i); }

/// The groups along one axis.
struct Groups {
  std::vector<int> of_position;            ///< group of each input position; -1: no tap meets it
  std::vector<std::vector<int64_t>> taps;  ///< by group
  int64_t count() const { return static_cast<int64_t>(taps.size()); }
};

Groups groups_of(const Window& window, int axis, int64_t size) {
  std::vector<std::vector<int64_t>> taps(index(size));
  for (int64_t tap = 0; tap < window.kernel[axis]; ++tap) {
    const TapRange range = tap_range(window, axis, tap, size);
    for (int64_t i = 0; i < range.count(); ++i) {
      taps[index(range.first + i * window.stride[axis])].push_back(tap);
    }
  }
  Groups groups;
  std::map<std::vector<int64_t>, int> known;
  for (const std::vector<int64_t>& met : taps) {
    if (met.empty()) {
      groups.of_position.push_back(-1);
      continue;
    }
    const auto [group, is_new] = known.try_emplace(met, static_cast<int>(known.size()));
    if (is_new) groups.taps.push_back(met);
    groups.of_position.push_back(group->second);
  }
  return groups;
}

/// Adds one row of positions [width, channels] to the sums of their groups.
CFP_MULTIVERSION void add_row(const float* __restrict x, const int* __restrict group, int64_t width,
                              int64_t channels, float* __restrict sums) {
  for (int64_t p = 0; p < width;) {
    if (group[p] < 0) {
      ++p;
      continue;
    }
    float* to = sums + group[p] * channels;
    const float* from = x + p * channels;
    const bool four = p + 4 <= width && group[p + 1] == group[p] && group[p + 2] == group[p] &&
                      group[p + 3] == group[p];
    if (four) {  // the sums are loaded and stored once for them
      for (int64_t c = 0; c < channels; ++c) {
        to[c] += (from[c] + from[channels + c]) + (from[2 * channels + c] + from[3 * channels + c]);
      }
    } else {
      for (int64_t c = 0; c < channels; ++c) to[c] += from[c];
    }
    p += four ? 4 : 1;
  }
}

CFP_MULTIVERSION void add(const float* __restrict x, int64_t n, double* __restrict sums) {
  for (int64_t i = 0; i < n; ++i) sums[i] += x[i];
}

CFP_MULTIVERSION void add(const double* __restrict x, int64_t n, double* __restrict sums) {
  for (int64_t i = 0; i < n; ++i) sums[i] += x[i];
}

/// The sums of one window's taps over the clips of a batch.
class TapSums {
 public:
  TapSums(const at::Tensor& x, const Window& window)
      : x_(x),
        window_(window),
        channels_(x.size(1)),
        groups_{groups_of(window, 0, x.size(2)), groups_of(window, 1, x.size(3)),
                groups_of(window, 2, x.size(4))},
        width_(groups_[0].count() * groups_[1].count() * groups_[2].count() * channels_) {
    for (int64_t t = 0; t < x.size(2); ++t) {
      for (int64_t h = 0; h < x.size(3); ++h) {
        const bool met =
            groups_[0].of_position[index(t)] >= 0 && groups_[1].of_position[index(h)] >= 0;
        if (met) rows_.push_back({t, h});
      }
    }
  }

  /// @param out [C, taps]
  void run(int64_t clip, double* out) const {
    const std::vector<double> sums = group_sums(clip);
    const int64_t taps = int64_t{1} * window_.kernel[0] * window_.kernel[1] * window_.kernel[2];
    std::vector<double> by_tap(index(taps * channels_), 0.0);
    for (int64_t t = 0; t < groups_[0].count(); ++t) {
      for (int64_t h = 0; h < groups_[1].count(); ++h) {
        for (int64_t w = 0; w < groups_[2].count(); ++w) {
          add_group(sums.data() + group(t, h, w) * channels_, {t, h, w}, by_tap.data());
        }
      }
    }
    for (int64_t c = 0; c < channels_; ++c) {
      for (int64_t tap = 0; tap < taps; ++tap)
        out[c * taps + tap] = by_tap[index(tap * channels_ + c)];
    }
  }

 private:
  struct Row {
    int64_t t, h;
  };

  int64_t group(int64_t t, int64_t h, int64_t w) const {
    return (t * groups_[1].count() + h) * groups_[2].count() + w;
  }

  /// @return [groups, C]
  std::vector<double> group_sums(int64_t clip) const {
    const int64_t W = x_.size(4), row_size = W * channels_;
    const float* x = x_.data_ptr<float>() + clip * x_.size(2) * x_.size(3) * row_size;
    const auto rows = static_cast<int64_t>(rows_.size());
    // Each part has float32 sums of its own: many, so that they stay short, but of together less
    // memory than x. How many does not depend on the number of threads, nor then does the result.
    const int64_t parts = std::clamp<int64_t>(rows * row_size / (8 * width_ + 1), 1, 64);
    std::vector<float> partial(index(parts * width_), 0.0F);
    at::parallel_for(0, parts, 1, [&](int64_t begin, int64_t end) {
      for (int64_t part = begin; part < end; ++part) {
        for (int64_t r = part * rows / parts; r < (part + 1) * rows / parts; ++r) {
          const auto [t, h] = rows_[index(r)];
          const int64_t first =
              group(groups_[0].of_position[index(t)], groups_[1].of_position[index(h)], 0);
          add_row(x + (t * x_.size(3) + h) * row_size, groups_[2].of_position.data(), W, channels_,
                  partial.data() + part * width_ + first * channels_);
        }
      }
    });
    std::vector<double> sums(index(width_), 0.0);
    for (int64_t part = 0; part < parts; ++part) {
      add(partial.data() + part * width_, width_, sums.data());
    }
    return sums;
  }

  void add_group(const double* sums, const std::array<int64_t, 3>& group, double* by_tap) const {
    for (const int64_t t : groups_[0].taps[index(group[0])]) {
      for (const int64_t h : groups_[1].taps[index(group[1])]) {
        for (const int64_t w : groups_[2].taps[index(group[2])]) {
          const int64_t tap = (t * window_.kernel[1] + h) * window_.kernel[2] + w;
          add(sums, channels_, by_tap + tap * channels_);
        }
      }
    }
  }

  const at::Tensor& x_;
  const Window& window_;
  const int64_t channels_;
  const std::array<Groups, 3> groups_;
  const int64_t width_;    ///< numbers in one set of sums
  std::vector<Row> rows_;  ///< those that some tap meets
};

}  // namespace

bool takes_tap_sums(const at::Tensor& x) {
  return x.is_cpu() && x.scalar_type() == at::kFloat &&
         x.is_contiguous(at::MemoryFormat::ChannelsLast3d);
}

at::Tensor tap_sums(const at::Tensor& x, const Window& window) {
  const int64_t taps = int64_t{1} * window.kernel[0] * window.kernel[1] * window.kernel[2];
  at::Tensor result = at::empty({x.size(0), x.size(1), taps}, at::kDouble);
  const TapSums sums(x, window);
  for (int64_t clip = 0; clip < x.size(0); ++clip) {
    sums.run(clip, result.data_ptr<double>() + clip * x.size(1) * taps);
  }
  return result;
}

}  // namespace cfp::cpu
