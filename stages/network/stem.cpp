#include "stages/network/stem_gradient.h"

#include <ATen/Parallel.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/mm.h>

#include <algorithm>
#include <array>
#include <vector>

#include "stages/network/multiversion.h"

namespace cfp {
namespace {

using std::int64_t;

/// Output frames handled together. Their sums are added up in order, so that the result does not
/// depend on the number of threads.
constexpr int64_t kSlab = 4;

/// Runs are padded with zeros to whole vectors of this many numbers: a rest costs more than they do.
constexpr int64_t kVector = 8;

int64_t padded_run(const Conv3d& op) {
  const int64_t run = int64_t{1} * op.kernel[2] * op.in_channels;
  return (run + kVector - 1) / kVector * kVector;
}

/// Adds the runs of neighbouring output positions, `step` numbers apart in the sum.
/// @param run a multiple of kVector
CFP_MULTIVERSION void add_runs(const float* __restrict from, int64_t from_step, int64_t positions,
                               int64_t run, int64_t step, float* to) {
  for (int64_t w = 0; w < positions; ++w) {
    for (int64_t i = 0; i < run; i += kVector) {
      const float* __restrict source = from + w * from_step + i;
      float* __restrict target = to + w * step + i;
      for (int64_t k = 0; k < kVector; ++k) target[k] += source[k];
    }
  }
}

CFP_MULTIVERSION void add_row(const float* __restrict from, int64_t n, float* __restrict to) {
  for (int64_t i = 0; i < n; ++i) to[i] += from[i];
}

/// Input sizes with everything that any window touches, padding included.
struct Padded {
  int64_t T, H, W, channels;
  int64_t row() const { return W * channels; }
  int64_t frame() const { return H * row(); }
};

/// What the output frames [t0, t1) of one clip send back, on the padded grid.
/// @param sum    (t1 - t0 - 1) * stride + kT frames of the padded grid and one vector more, zeros
/// @param buffer [W', taps * C_in]
void slab_gradient(const Conv3d& op, const at::Tensor& matrix, const at::Tensor& g_clip, int64_t t0,
                   int64_t t1, const Padded& grid, at::Tensor& buffer, float* sum) {
  const int64_t OH = g_clip.size(1), OW = g_clip.size(2);
  const int64_t run = padded_run(op);
  for (int64_t t = t0; t < t1; ++t) {
    for (int64_t h = 0; h < OH; ++h) {
      at::mm_out(buffer, g_clip[t][h], matrix);
      const float* from = buffer.data_ptr<float>();
      for (int64_t kt = 0; kt < op.kernel[0]; ++kt) {
        for (int64_t kh = 0; kh < op.kernel[1]; ++kh, from += run) {
          float* to = sum + ((t - t0) * op.stride[0] + kt) * grid.frame() +
                      (h * op.stride[1] + kh) * grid.row();
          add_runs(from, matrix.size(1), OW, run, op.stride[2] * grid.channels, to);
        }
      }
    }
  }
}

}  // namespace

bool is_stem(const Conv3d& op) {
  return op.groups == 1 && op.in_channels <= 4 && op.dilation == Triple{1, 1, 1};
}

at::Tensor stem_matrix(const Conv3d& op, const at::Tensor& weight) {
  const at::Tensor runs = weight.permute({0, 2, 3, 4, 1}).flatten(3);  // [C_out, kT, kH, run]
  const std::array<std::int64_t, 2> zeros{0, padded_run(op) - runs.size(3)};
  return at::constant_pad_nd(runs, zeros).flatten(1);
}

at::Tensor stem_gradient(const Conv3d& op, const at::Tensor& matrix, const at::Tensor& g,
                         const Triple& size, const Triple& padding) {
  const int64_t batch = g.size(0), OT = g.size(2);
  Padded grid{0, 0, 0, op.in_channels};
  int64_t* const sizes[] = {&grid.T, &grid.H, &grid.W};
  for (int axis = 0; axis < 3; ++axis) {
    const int64_t touched = (g.size(axis + 2) - 1) * op.stride[axis] + op.kernel[axis];
    *sizes[axis] = std::max<int64_t>(touched, padding[axis] + size[axis]);
  }
  const int64_t slabs = (OT + kSlab - 1) / kSlab;
  const int64_t slab_frames = (kSlab - 1) * op.stride[0] + op.kernel[0];
  const int64_t slab_size = slab_frames * grid.frame() + kVector;
  std::vector<float> sums(static_cast<std::size_t>(batch * slabs * slab_size), 0.0F);
  const at::Tensor g_rows = g.permute({0, 2, 3, 4, 1});  // [B, T', H', W', C_out], contiguous
  at::parallel_for(0, batch * slabs, 1, [&](int64_t begin, int64_t end) {
    at::Tensor buffer = at::empty({g.size(4), matrix.size(1)}, matrix.options());
    for (int64_t s = begin; s < end; ++s) {
      const int64_t t0 = s % slabs * kSlab;
      slab_gradient(op, matrix, g_rows[s / slabs], t0, std::min(t0 + kSlab, OT), grid, buffer,
                    sums.data() + s * slab_size);
    }
  });

  at::Tensor result =
      at::empty({batch, op.in_channels, size[0], size[1], size[2]},
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
          add_row(from + (h + padding[1]) * grid.row() + padding[2] * grid.channels, row,
                  frame + h * row);
        }
      }
    }
  });
  return result;
}

}  // namespace cfp
