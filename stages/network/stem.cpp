#include "stages/network/stem.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

#include <ATen/Parallel.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

#include "stages/network/float_vector.h"
#include "stages/network/multiversion.h"

namespace cfp {
namespace {

using std::int64_t;

constexpr int64_t kVector = cpu::kVectorFloats;
constexpr int64_t kMostVectors = 3;
using Vector = cpu::FloatVector;
using cpu::vectors_at;

/// Numbers that one row of taps touches: kW * C_in, filled up to whole vectors.
int64_t run_of(const Conv3d& op) {
  const int64_t run = int64_t{1} * op.kernel[2] * op.in_channels;
  return (run + kVector - 1) / kVector * kVector;
}

/// A gradient that is not zero.
struct Entry {
  std::int32_t kernel;
  float value;
};

/// Keeps an entry if it is not zero; written either way, as a branch would be guessed wrong too
/// often.
CFP_INLINE void append(Entry*& next, const Entry& entry) {
  *next = entry;
  next += entry.value != 0 ? 1 : 0;
}

/// The entries of a row of positions.
struct Entries {
  std::vector<Entry> entries;
  std::vector<int64_t>
      ends;  ///< by position: end of its entries, which begin where those before end

  Entries(int64_t positions, int64_t kernels)
      : entries(static_cast<std::size_t>(positions * kernels + 1)),
        ends(static_cast<std::size_t>(positions)) {}

  /// @param row     [positions, width]
  /// @param kernels those to take
  void take(const float* row, int64_t width, const std::vector<std::int32_t>& kernels) {
    Entry* next = entries.data();
    for (int64_t& end : ends) {
      for (const std::int32_t kernel : kernels) append(next, {kernel, row[kernel]});
      end = next - entries.data();
      row += width;
    }
  }

  const Entry* begin(int64_t position) const {
    return entries.data() + (position == 0 ? 0 : ends[static_cast<std::size_t>(position - 1)]);
  }
  const Entry* end(int64_t position) const {
    return entries.data() + ends[static_cast<std::size_t>(position)];
  }
  bool empty() const { return ends.back() == 0; }
};

/// A row of output positions and a few rows of taps.
struct Strip {
  const Entries* all;
  const Entries* scored;  ///< those whose scores are wanted
  int64_t positions;
  const float* weights;  ///< the rows of taps of kernel 0
  int64_t taps, run;     ///< from kernel to kernel, and from row to row
  float* sum;            ///< what the first position touches of the padded input's gradient
  const float* x;        ///< the same of the padded input
  int64_t row, step;     ///< from row to row, and from position to position, of both
  float* scores;         ///< [kernels, run]
};

/// One position: sends its entries back through R rows of taps of N vectors. The sums stay in
/// registers while the entries pass.
template <int64_t R, int64_t N>
CFP_INLINE void send_position_back(const Strip& s, int64_t position) {
  Vector total[R][N] = {};
  for (const Entry* e = s.all->begin(position); e != s.all->end(position); ++e) {
    const float* taps = s.weights + e->kernel * s.taps;
    for (int64_t r = 0; r < R; ++r) {
      const auto* weights = vectors_at<Vector>(taps + r * s.run);
      for (int64_t n = 0; n < N; ++n) total[r][n] += e->value * weights[n].value;
    }
  }
  for (int64_t r = 0; r < R; ++r) {
    auto* to = vectors_at<Vector>(s.sum + position * s.step + r * s.row);
    for (int64_t n = 0; n < N; ++n) to[n].value += total[r][n];
  }
}

/// One position: adds to the scores of its entries what they find in x, which stays in registers.
template <int64_t R, int64_t N>
CFP_INLINE void score_position(const Strip& s, int64_t position) {
  Vector seen[R][N];
  for (int64_t r = 0; r < R; ++r) {
    const auto* from = vectors_at<Vector>(s.x + position * s.step + r * s.row);
    for (int64_t n = 0; n < N; ++n) seen[r][n] = from[n].value;
  }
  for (const Entry* e = s.scored->begin(position); e != s.scored->end(position); ++e) {
    const float* taps = s.weights + e->kernel * s.taps;
    Vector score[N] = {};
    for (int64_t r = 0; r < R; ++r) {
      const auto* weights = vectors_at<Vector>(taps + r * s.run);
      for (int64_t n = 0; n < N; ++n) score[n] += weights[n].value * seen[r][n];
    }
    auto* to = vectors_at<Vector>(s.scores + e->kernel * s.run);
    for (int64_t n = 0; n < N; ++n) to[n].value += e->value * score[n];
  }
}

template <int64_t R, int64_t N, bool kScores>
CFP_INLINE void add_strip(const Strip& s) {
  // Neighbours overlap, and reading what was only just written waits; so positions that do not
  // overlap follow one another.
  const int64_t apart = (N * kVector + s.step - 1) / s.step;
  for (int64_t phase = 0; phase < std::min(apart, s.positions); ++phase) {
    for (int64_t i = phase; i < s.positions; i += apart) {
      if (s.all->begin(i) == s.all->end(i)) continue;
      send_position_back<R, N>(s, i);
      if constexpr (kScores) {
        if (s.scored->begin(i) != s.scored->end(i)) score_position<R, N>(s, i);
      }
    }
  }
}

template <int64_t R, bool kScores>
CFP_INLINE void add_rows(const Strip& s) {
  switch (s.run / kVector) {
    case 1:
      return add_strip<R, 1, kScores>(s);
    case 2:
      return add_strip<R, 2, kScores>(s);
    default:
      return add_strip<R, 3, kScores>(s);
  }
}

template <bool kScores>
CFP_INLINE void add_rows(Strip s, int64_t rows, int64_t at_once) {
  while (rows > 0) {
    const int64_t now = std::min(rows, at_once);
    switch (now) {
      case 1:
        add_rows<1, kScores>(s);
        break;
      case 2:
        add_rows<2, kScores>(s);
        break;
      case 3:
        add_rows<3, kScores>(s);
        break;
      default:
        add_rows<4, kScores>(s);
        break;
    }
    s.weights += now * s.run;
    s.sum += now * s.row;
    if constexpr (kScores) s.x += now * s.row;
    rows -= now;
  }
}

CFP_MULTIVERSION void send_back(const Strip& s, int64_t rows, int64_t at_once) {
  add_rows<false>(s, rows, at_once);
}
CFP_MULTIVERSION void send_back_and_score(const Strip& s, int64_t rows, int64_t at_once) {
  add_rows<true>(s, rows, at_once);
}

/// Rows of taps in one go: few enough that the sums stay in registers, and that the weights of all
/// kernels stay in a first-level cache.
constexpr int64_t kMostRows = 4;
constexpr int64_t kCachedWeights = 8192;

int64_t rows_at_once(int64_t kernels, int64_t run) {
  return std::clamp<int64_t>(kCachedWeights / (kernels * run), 1, kMostRows);
}

CFP_MULTIVERSION void add_numbers(const float* __restrict from, int64_t n, float* __restrict to) {
  for (int64_t i = 0; i < n; ++i) to[i] += from[i];
}

/// An input grid with room for all that any window touches, padding included.
struct PaddedGrid {
  int64_t T, H, W, channels;
  PaddedGrid(const Conv3d& op, const at::IntArrayRef& out_size, const Triple& size,
             const Triple& padding)
      : channels(op.in_channels) {
    int64_t* const sizes[] = {&T, &H, &W};
    for (int axis = 0; axis < 3; ++axis) {
      const auto a = static_cast<std::size_t>(axis);
      const int64_t touched = (out_size[a] - 1) * op.stride[a] + op.kernel[a];
      *sizes[axis] = std::max<int64_t>(touched, padding[a] + size[a]);
    }
  }
  int64_t row() const { return W * channels; }
  int64_t frame() const { return H * row(); }
};

/// Output frames handled together. Their sums are added up in order, so that the result does not
/// depend on the number of threads.
constexpr int64_t kSlab = 4;

/// Sums of one slab.
struct Slab {
  float* gradient;  ///< [frames, H, W, C] of the padded grid, from the first frame that it touches
  float* scores;    ///< [kernels, run]; null: not wanted
};

/// The kernels of a layer that a mask names; without one all.
std::vector<std::int32_t> kernels_of(int64_t count, const std::vector<std::uint8_t>* mask) {
  std::vector<std::int32_t> kernels;
  for (int64_t k = 0; k < count; ++k) {
    if (mask == nullptr || (*mask)[static_cast<std::size_t>(k)] != 0) {
      kernels.push_back(static_cast<std::int32_t>(k));
    }
  }
  return kernels;
}

/// What the output frames [t0, t1) of one clip send back, on the padded grid.
/// @param g [T', H', W', C_out], contiguous
/// @param x the padded input, from the first frame that the slab touches
void add_slab(const Conv3d& op, const at::Tensor& runs, const at::Tensor& g, const float* x,
              const std::vector<std::int32_t>& scored, int64_t t0, int64_t t1,
              const PaddedGrid& grid, const Slab& slab) {
  const int64_t OH = g.size(1), OW = g.size(2), kernels = g.size(3);
  const int64_t run = run_of(op), taps = op.kernel[1] * run;
  const std::vector<std::int32_t> every = kernels_of(kernels, nullptr);
  Entries all(OW, kernels), to_score(OW, static_cast<int64_t>(scored.size()));
  for (int64_t t = t0; t < t1; ++t) {
    for (int64_t h = 0; h < OH; ++h) {
      const float* row = g.data_ptr<float>() + (t * OH + h) * OW * kernels;
      all.take(row, kernels, every);
      if (all.empty()) continue;
      if (slab.scores != nullptr) to_score.take(row, kernels, scored);
      for (int64_t kt = 0; kt < op.kernel[0]; ++kt) {
        const int64_t at =
            ((t - t0) * op.stride[0] + kt) * grid.frame() + h * op.stride[1] * grid.row();
        const Strip strip{.all = &all,
                          .scored = &to_score,
                          .positions = OW,
                          .weights = runs.data_ptr<float>() + kt * kernels * taps,
                          .taps = taps,
                          .run = run,
                          .sum = slab.gradient + at,
                          .x = x == nullptr ? nullptr : x + at,
                          .row = grid.row(),
                          .step = op.stride[2] * grid.channels,
                          .scores = slab.scores};
        const int64_t at_once = rows_at_once(kernels, run);
        if (slab.scores == nullptr) {
          send_back(strip, op.kernel[1], at_once);
        } else {
          send_back_and_score(strip, op.kernel[1], at_once);
        }
      }
    }
  }
}

/// x [T, H, W, C] with zeros around it, and a vector's room behind.
std::vector<float> padded_input(const PaddedGrid& grid, const at::Tensor& x,
                                const Triple& padding) {
  std::vector<float> out(static_cast<std::size_t>(grid.T * grid.frame() + kMostVectors * kVector),
                         0.0F);
  const int64_t row = x.size(2) * grid.channels;
  const float* from = x.data_ptr<float>();
  for (int64_t t = 0; t < x.size(0); ++t) {
    for (int64_t h = 0; h < x.size(1); ++h, from += row) {
      float* to = out.data() + (t + padding[0]) * grid.frame() + (h + padding[1]) * grid.row() +
                  padding[2] * grid.channels;
      std::memcpy(to, from, static_cast<std::size_t>(row) * sizeof(float));
    }
  }
  return out;
}

/// Adds up what the slabs send back, without the padding: [B, C, T, H, W], channels last.
at::Tensor collect_slabs(const Conv3d& op, const std::vector<float>& sums, const PaddedGrid& grid,
                         const Triple& size, const at::Tensor& g) {
  const Triple& padding = op.padding.before;
  const int64_t batch = g.size(0), slabs = (g.size(2) + kSlab - 1) / kSlab;
  const int64_t slab_frames = (kSlab - 1) * op.stride[0] + op.kernel[0];
  const auto slab_size = static_cast<int64_t>(sums.size()) / (batch * slabs);
  at::Tensor result = at::empty({batch, op.in_channels, size[0], size[1], size[2]},
                                g.options().memory_format(at::MemoryFormat::ChannelsLast3d));
  float* out = result.data_ptr<float>();
  const int64_t row = int64_t{1} * size[2] * op.in_channels;
  at::parallel_for(0, batch * size[0], 1, [&](int64_t begin, int64_t end) {
    for (int64_t line = begin; line < end; ++line) {
      float* frame = out + line * size[1] * row;
      std::fill_n(frame, size[1] * row, 0.0F);
      const int64_t t = line % size[0] + padding[0];
      for (int64_t slab = 0; slab < slabs; ++slab) {
        const int64_t local = t - slab * kSlab * op.stride[0];
        if (local < 0 || local >= slab_frames) continue;
        const float* from =
            sums.data() + (line / size[0] * slabs + slab) * slab_size + local * grid.frame();
        for (int64_t h = 0; h < size[1]; ++h) {
          add_numbers(from + (h + padding[1]) * grid.row() + padding[2] * grid.channels, row,
                      frame + h * row);
        }
      }
    }
  });
  return result;
}

}  // namespace

bool is_stem(const Conv3d& op) {
  return op.groups == 1 && op.in_channels <= 6 && op.dilation == Triple{1, 1, 1} &&
         run_of(op) <= kMostVectors * kVector;
}

at::Tensor stem_runs(const Conv3d& op, const at::Tensor& weight) {
  const at::Tensor runs = weight.permute({2, 0, 3, 4, 1}).flatten(3);
  const std::array<int64_t, 2> zeros{0, run_of(op) - runs.size(3)};
  return at::constant_pad_nd(runs, zeros).contiguous();
}

StemGradients stem_gradients(const Conv3d& op, const at::Tensor& runs, const at::Tensor& g,
                             const Triple& size, const at::Tensor& x, const KernelMasks& wanted) {
  const int64_t batch = g.size(0), OT = g.size(2), kernels = g.size(1), run = run_of(op);
  const Triple& padding = op.padding.before;
  const PaddedGrid grid(op, g.sizes().slice(2), size, padding);
  const int64_t slabs = (OT + kSlab - 1) / kSlab;
  const int64_t slab_frames = (kSlab - 1) * op.stride[0] + op.kernel[0];
  const int64_t slab_size = slab_frames * grid.frame() + kMostVectors * kVector;
  std::vector<float> sums(static_cast<std::size_t>(batch * slabs * slab_size), 0.0F);
  const at::Tensor scores = at::zeros({batch, slabs, kernels, run}, g.options());
  std::vector<std::vector<float>> inputs;
  std::vector<std::vector<std::int32_t>> scored;
  for (int64_t b = 0; b < batch; ++b) {
    if (x.defined()) {
      inputs.push_back(padded_input(grid, x[b].permute({1, 2, 3, 0}).contiguous(), padding));
    }
    scored.push_back(
        kernels_of(kernels, wanted.empty() ? nullptr : &wanted[static_cast<std::size_t>(b)]));
  }
  const at::Tensor g_rows = g.permute({0, 2, 3, 4, 1}).contiguous();  // [B, T', H', W', C_out]
  at::parallel_for(0, batch * slabs, 1, [&](int64_t begin, int64_t end) {
    for (int64_t s = begin; s < end; ++s) {
      const int64_t clip = s / slabs, t0 = s % slabs * kSlab;
      const Slab slab{sums.data() + s * slab_size,
                      x.defined() ? scores.data_ptr<float>() + s * kernels * run : nullptr};
      const float* seen = x.defined() ? inputs[static_cast<std::size_t>(clip)].data() +
                                            t0 * op.stride[0] * grid.frame()
                                      : nullptr;
      add_slab(op, runs, g_rows[clip], seen, scored[static_cast<std::size_t>(clip)], t0,
               std::min(t0 + kSlab, OT), grid, slab);
    }
  });
  StemGradients result{collect_slabs(op, sums, grid, size, g)};
  if (x.defined()) {
    result.scores = scores.sum(1, false, at::kDouble)
                        .narrow(2, 0, int64_t{1} * op.kernel[2] * op.in_channels)
                        .unflatten(2, {op.kernel[2], op.in_channels})
                        .sum(2)
                        .to(at::kFloat);
  }
  return result;
}

}  // namespace cfp
