#include "stages/network/stem.h"

#include <ATen/Parallel.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

#include "stages/network/multiversion.h"

namespace cfp {
namespace {

using std::int64_t;

constexpr int64_t kVector = 16;
constexpr int64_t kMostVectors = 3;
using Vector = float __attribute__((vector_size(sizeof(float) * kVector), aligned(sizeof(float))));

/// Numbers that one row of taps touches: kW * C_in, filled up to whole vectors.
int64_t run_of(const Conv3d& op) {
  const int64_t run = int64_t{1} * op.kernel[2] * op.in_channels;
  return (run + kVector - 1) / kVector * kVector;
}

/// One number that is not zero: where it stands, and what it is.
struct Entry {
  int64_t offset;
  float value;
};

/// Keeps an entry if it is not zero; written either way, as a branch would be guessed wrong too often.
CFP_INLINE void append(Entry*& next, const Entry& entry) {
  *next = entry;
  next += entry.value != 0 ? 1 : 0;
}

/// sum[r] += value * source[r] over R rows of N vectors, for every entry. The sums stay in registers
/// while the entries pass.
template <int64_t R, int64_t N>
CFP_INLINE void add_entries(const Entry* begin, const Entry* end, const float* source,
                            int64_t source_row, float* sum, int64_t sum_row) {
  Vector total[R][N] = {};
  for (const Entry* e = begin; e != end; ++e) {
    const float* from = source + e->offset;
    for (int64_t r = 0; r < R; ++r) {
      const auto* vectors = reinterpret_cast<const Vector*>(from + r * source_row);
      for (int64_t n = 0; n < N; ++n) total[r][n] += e->value * vectors[n];
    }
  }
  for (int64_t r = 0; r < R; ++r) {
    auto* to = reinterpret_cast<Vector*>(sum + r * sum_row);
    for (int64_t n = 0; n < N; ++n) to[n] += total[r][n];
  }
}

/// A list of entries for each of `count` places in a row, and what they are to be multiplied with.
struct Strip {
  const Entry* entries;
  const int64_t* ends;  ///< by place: end of its entries, which begin where those before end
  int64_t count;
  const float* source;
  int64_t source_row;
  float* sum;
  int64_t sum_row, sum_step;  ///< from row to row of a place, and from place to place
};

template <int64_t R, int64_t N>
CFP_INLINE void add_strip(const Strip& s) {
  // Neighbours may overlap, and reading what was only just written waits; so places that do not
  // overlap follow one another.
  const int64_t apart = (N * kVector + s.sum_step - 1) / s.sum_step;
  for (int64_t phase = 0; phase < std::min(apart, s.count); ++phase) {
    for (int64_t i = phase; i < s.count; i += apart) {
      const int64_t first = i == 0 ? 0 : s.ends[i - 1];
      if (first == s.ends[i]) continue;
      add_entries<R, N>(s.entries + first, s.entries + s.ends[i], s.source, s.source_row,
                        s.sum + i * s.sum_step, s.sum_row);
    }
  }
}

template <int64_t R>
CFP_INLINE void add_strip(const Strip& s, int64_t vectors) {
  switch (vectors) {
    case 1: return add_strip<R, 1>(s);
    case 2: return add_strip<R, 2>(s);
    default: return add_strip<R, 3>(s);
  }
}

/// Adds the products of a strip, `rows` rows of `vectors` vectors at each place, at most `at_once`
/// rows in one go.
CFP_MULTIVERSION void add_products(Strip s, int64_t rows, int64_t vectors, int64_t at_once) {
  while (rows > 0) {
    const int64_t now = std::min(rows, at_once);
    switch (now) {
      case 1: add_strip<1>(s, vectors); break;
      case 2: add_strip<2>(s, vectors); break;
      case 3: add_strip<3>(s, vectors); break;
      default: add_strip<4>(s, vectors); break;
    }
    s.source += now * s.source_row;
    s.sum += now * s.sum_row;
    rows -= now;
  }
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

/// What the output frames [t0, t1) of one clip send back, on the padded grid.
/// @param g_clip [T', H', W', C_out], contiguous
/// @param sum    zeros
void slab_gradient(const Conv3d& op, const at::Tensor& runs, const at::Tensor& g_clip, int64_t t0,
                   int64_t t1, const PaddedGrid& grid, float* sum) {
  const int64_t OH = g_clip.size(1), OW = g_clip.size(2), kernels = g_clip.size(3);
  const int64_t run = run_of(op), taps = op.kernel[1] * run;
  std::vector<Entry> entries(static_cast<std::size_t>(OW * kernels + 1));
  std::vector<int64_t> ends(static_cast<std::size_t>(OW));
  for (int64_t t = t0; t < t1; ++t) {
    for (int64_t h = 0; h < OH; ++h) {
      const float* g = g_clip.data_ptr<float>() + (t * OH + h) * OW * kernels;
      Entry* next = entries.data();
      for (int64_t w = 0; w < OW; ++w) {
        for (int64_t k = 0; k < kernels; ++k) append(next, {k * taps, g[w * kernels + k]});
        ends[static_cast<std::size_t>(w)] = next - entries.data();
      }
      if (next == entries.data()) continue;
      for (int64_t kt = 0; kt < op.kernel[0]; ++kt) {
        add_products({.entries = entries.data(),
                      .ends = ends.data(),
                      .count = OW,
                      .source = runs.data_ptr<float>() + kt * kernels * taps,
                      .source_row = run,
                      .sum = sum + ((t - t0) * op.stride[0] + kt) * grid.frame() +
                             h * op.stride[1] * grid.row(),
                      .sum_row = grid.row(),
                      .sum_step = op.stride[2] * grid.channels},
                     op.kernel[1], run / kVector, rows_at_once(kernels, run));
      }
    }
  }
}

/// Where one kernel's gradient is not zero in a few output rows, as offsets in a frame of the padded
/// input.
/// @param g    the kernel's gradient at row h0
/// @param from from one position to the next
/// @return end of the entries
Entry* find_entries(const Conv3d& op, const float* g, int64_t from, int64_t h0, int64_t h1,
                    int64_t OW, const PaddedGrid& grid, Entry* entries) {
  for (int64_t h = h0; h < h1; ++h) {
    for (int64_t w = 0; w < OW; ++w, g += from) {
      append(entries, {h * op.stride[1] * grid.row() + w * op.stride[2] * grid.channels, *g});
    }
  }
  return entries;
}

/// Output rows handled together: as many as have their input rows in a first-level cache.
int64_t rows_together(const Conv3d& op, const PaddedGrid& grid) {
  constexpr int64_t kCached = 8192;  // numbers
  const int64_t rows = kCached / grid.row() - op.kernel[1];
  return std::clamp<int64_t>(rows / op.stride[1] + 1, 1, 16);
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

at::Tensor stem_input_gradient(const Conv3d& op, const at::Tensor& runs, const at::Tensor& g,
                               const Triple& size, const Triple& padding) {
  const int64_t batch = g.size(0), OT = g.size(2);
  const PaddedGrid grid(op, g.sizes().slice(2), size, padding);
  const int64_t slabs = (OT + kSlab - 1) / kSlab;
  const int64_t slab_frames = (kSlab - 1) * op.stride[0] + op.kernel[0];
  const int64_t slab_size = slab_frames * grid.frame() + kMostVectors * kVector;
  std::vector<float> sums(static_cast<std::size_t>(batch * slabs * slab_size), 0.0F);
  const at::Tensor g_rows = g.permute({0, 2, 3, 4, 1});  // [B, T', H', W', C_out], contiguous
  at::parallel_for(0, batch * slabs, 1, [&](int64_t begin, int64_t end) {
    for (int64_t s = begin; s < end; ++s) {
      const int64_t t0 = s % slabs * kSlab;
      slab_gradient(op, runs, g_rows[s / slabs], t0, std::min(t0 + kSlab, OT), grid,
                    sums.data() + s * slab_size);
    }
  });

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
        const float* from = sums.data() + (line / size[0] * slabs + slab) * slab_size +
                            local * grid.frame();
        for (int64_t h = 0; h < size[1]; ++h) {
          add_numbers(from + (h + padding[1]) * grid.row() + padding[2] * grid.channels, row,
                      frame + h * row);
        }
      }
    }
  });
  return result;
}

at::Tensor stem_weight_gradient(const Conv3d& op, const at::Tensor& g, const at::Tensor& x) {
  const int64_t OT = g.size(0), OH = g.size(1), OW = g.size(2), kernels = g.size(3);
  const Triple size{static_cast<int>(x.size(0)), static_cast<int>(x.size(1)),
                    static_cast<int>(x.size(2))};
  const PaddedGrid grid(op, g.sizes().slice(0, 3), size, op.padding.before);
  const std::vector<float> input = padded_input(grid, x, op.padding.before);
  const int64_t run = run_of(op);
  const int64_t rows = int64_t{1} * op.kernel[0] * op.kernel[1];
  at::Tensor products = at::zeros({kernels, rows, run}, g.options());
  const int64_t together = rows_together(op, grid);
  const int64_t blocks = (OH + together - 1) / together;
  at::parallel_for(0, kernels, 1, [&](int64_t begin, int64_t end) {
    std::vector<Entry> entries(static_cast<std::size_t>(together * OW + 1));
    for (int64_t block = 0; block < OT * blocks; ++block) {
      const int64_t t = block / blocks, h = block % blocks * together;
      const float* rows_of_g = g.data_ptr<float>() + (t * OH + h) * OW * kernels;
      for (int64_t k = begin; k < end; ++k) {
        const int64_t found = find_entries(op, rows_of_g + k, kernels, h,
                                           std::min(h + together, OH), OW, grid, entries.data()) -
                              entries.data();
        if (found == 0) continue;
        for (int64_t kt = 0; kt < op.kernel[0]; ++kt) {
          add_products({.entries = entries.data(),
                        .ends = &found,
                        .count = 1,
                        .source = input.data() + (t * op.stride[0] + kt) * grid.frame(),
                        .source_row = grid.row(),
                        .sum = products.data_ptr<float>() + (k * rows + kt * op.kernel[1]) * run,
                        .sum_row = run,
                        .sum_step = run},
                       op.kernel[1], run / kVector, kMostRows);
        }
      }
    }
  });
  return products.narrow(2, 0, int64_t{1} * op.kernel[2] * op.in_channels)
      .reshape({kernels, rows * op.kernel[2], op.in_channels})
      .transpose(1, 2);
}

}  // namespace cfp
