#include "stages/network/stem.h"

#include <ATen/Parallel.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/empty.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

#include "stages/network/multiversion.h"

namespace cfp {
namespace {

using std::int64_t;

constexpr int64_t kVector = 8;
constexpr int64_t kMostVectors = 4;
using Vector = float __attribute__((vector_size(sizeof(float) * kVector), aligned(sizeof(float))));

int64_t vectors_of(const Conv3d& op) {
  const int64_t run = int64_t{1} * op.kernel[2] * op.in_channels;
  return (run + kVector - 1) / kVector;
}

/// One number that is not zero: where it stands, and what it is.
struct Entry {
  int64_t offset;
  float value;
};

/// sum += value * source over a run of N vectors, for every entry.
template <int64_t N>
CFP_INLINE void add_entries(const Entry* begin, const Entry* end, const float* source, float* sum) {
  Vector total[N] = {};
  for (const Entry* e = begin; e != end; ++e) {
    const auto* from = reinterpret_cast<const Vector*>(source + e->offset);
    for (int64_t k = 0; k < N; ++k) total[k] += e->value * from[k];
  }
  auto* to = reinterpret_cast<Vector*>(sum);
  for (int64_t k = 0; k < N; ++k) to[k] += total[k];
}

template <int64_t N>
CFP_INLINE void add_row(const std::vector<Entry>& entries, const std::vector<int64_t>& ends,
                        const float* runs, int64_t step, float* to) {
  const auto positions = static_cast<int64_t>(ends.size());
  // Neighbours overlap; what is far enough apart to be written without waiting for one another is
  // written first.
  constexpr int64_t kApart = 4;
  for (int64_t phase = 0; phase < kApart; ++phase) {
    for (int64_t w = phase; w < positions; w += kApart) {
      const int64_t first = w == 0 ? 0 : ends[static_cast<std::size_t>(w - 1)];
      const int64_t last = ends[static_cast<std::size_t>(w)];
      if (first == last) continue;
      add_entries<N>(entries.data() + first, entries.data() + last, runs, to + w * step);
    }
  }
}

/// What one row of output positions sends back through one row of taps.
CFP_MULTIVERSION void send_back(const std::vector<Entry>& entries, const std::vector<int64_t>& ends,
                                const float* runs, int64_t vectors, int64_t step, float* to) {
  switch (vectors) {
    case 1: return add_row<1>(entries, ends, runs, step, to);
    case 2: return add_row<2>(entries, ends, runs, step, to);
    case 3: return add_row<3>(entries, ends, runs, step, to);
    default: return add_row<4>(entries, ends, runs, step, to);
  }
}

/// The products of one kernel's gradient with the runs that one row of taps meets.
CFP_MULTIVERSION void add_products(const std::vector<Entry>& entries, const float* x,
                                   int64_t vectors, float* to) {
  const Entry* begin = entries.data();
  const Entry* end = begin + entries.size();
  switch (vectors) {
    case 1: return add_entries<1>(begin, end, x, to);
    case 2: return add_entries<2>(begin, end, x, to);
    case 3: return add_entries<3>(begin, end, x, to);
    default: return add_entries<4>(begin, end, x, to);
  }
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
  const int64_t vectors = vectors_of(op), run = vectors * kVector;
  std::vector<Entry> entries;
  std::vector<int64_t> ends(static_cast<std::size_t>(OW));
  for (int64_t t = t0; t < t1; ++t) {
    for (int64_t h = 0; h < OH; ++h) {
      entries.clear();
      const float* g = g_clip.data_ptr<float>() + (t * OH + h) * OW * kernels;
      for (int64_t w = 0; w < OW; ++w) {
        for (int64_t k = 0; k < kernels; ++k) {
          if (g[w * kernels + k] != 0) entries.push_back({k * run, g[w * kernels + k]});
        }
        ends[static_cast<std::size_t>(w)] = static_cast<int64_t>(entries.size());
      }
      if (entries.empty()) continue;
      for (int64_t kt = 0; kt < op.kernel[0]; ++kt) {
        for (int64_t kh = 0; kh < op.kernel[1]; ++kh) {
          send_back(entries, ends,
                    runs.data_ptr<float>() + (kt * op.kernel[1] + kh) * kernels * run, vectors,
                    op.stride[2] * grid.channels,
                    sum + ((t - t0) * op.stride[0] + kt) * grid.frame() +
                        (h * op.stride[1] + kh) * grid.row());
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

}  // namespace

bool is_stem(const Conv3d& op) {
  return op.groups == 1 && op.in_channels <= 4 && op.dilation == Triple{1, 1, 1} &&
         vectors_of(op) <= kMostVectors;
}

at::Tensor stem_runs(const Conv3d& op, const at::Tensor& weight) {
  const at::Tensor runs = weight.permute({2, 3, 0, 4, 1}).flatten(3).flatten(0, 1);
  const std::array<int64_t, 2> zeros{0, vectors_of(op) * kVector - runs.size(2)};
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
  const int64_t vectors = vectors_of(op), run = vectors * kVector;
  const int64_t rows = int64_t{1} * op.kernel[0] * op.kernel[1];
  at::Tensor products = at::empty({kernels, rows, run}, g.options());
  at::parallel_for(0, kernels, 1, [&](int64_t begin, int64_t end) {
    std::vector<Entry> entries;
    for (int64_t k = begin; k < end; ++k) {
      entries.clear();
      const float* value = g.data_ptr<float>() + k;
      for (int64_t t = 0; t < OT; ++t) {
        for (int64_t h = 0; h < OH; ++h) {
          for (int64_t w = 0; w < OW; ++w, value += kernels) {
            if (*value == 0) continue;
            entries.push_back({t * op.stride[0] * grid.frame() + h * op.stride[1] * grid.row() +
                                   w * op.stride[2] * grid.channels,
                               *value});
          }
        }
      }
      float* to = products.data_ptr<float>() + k * rows * run;
      std::fill_n(to, rows * run, 0.0F);
      for (int64_t r = 0; r < rows; ++r) {
        const int64_t offset =
            r / op.kernel[1] * grid.frame() + r % op.kernel[1] * grid.row();
        add_products(entries, input.data() + offset, vectors, to + r * run);
      }
    }
  });
  return products.narrow(2, 0, int64_t{1} * op.kernel[2] * op.in_channels)
      .reshape({kernels, rows * op.kernel[2], op.in_channels})
      .transpose(1, 2);
}

}  // namespace cfp
