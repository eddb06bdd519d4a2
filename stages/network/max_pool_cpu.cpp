// Maximum pooling of tensor_kernels.h, forward and back, as one pooling an axis: over the width, the
// height, then over time. The maximum of maxima is the maximum, and going back over time first, then
// height, then width, ends at the first of equal positions. Three windows of 3 cost 9 comparisons
// where one of 3 x 3 x 3 costs 27, and each frame stays in the cache for both of its axes.
#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <limits>
#include <vector>

#include "stages/network/multiversion.h"
#include "stages/network/tensor_kernels_cpu.h"

namespace cfp::cpu {
namespace {

using std::int64_t;

constexpr auto kLayout = at::MemoryFormat::ChannelsLast3d;
constexpr int64_t kWidth = 16;
using Vector = float __attribute__((vector_size(sizeof(float) * kWidth), aligned(sizeof(float))));

/// Pooling of [outer, size, inner] to [outer, out, inner].
struct Axis {
  int64_t outer, size, out, inner;
  int64_t kernel, stride, before, after;
  bool zero_padding;

  bool identity() const { return kernel == 1 && stride == 1; }
  int64_t in_numel() const { return outer * size * inner; }
  int64_t out_numel() const { return outer * out * inner; }
};

/// One window: rows [begin, end) of the tensor, and whether padding counts before or after them.
struct Window {
  int64_t begin, end;
  bool zero_before, zero_after;
};

Window window(const Axis& axis, int64_t out) {
  const int64_t start = out * axis.stride - axis.before;
  // A window of ceil_mode may also reach past the padding; that part never counts.
  const int64_t stop = std::min(start + axis.kernel, axis.size + axis.after);
  return {std::max<int64_t>(start, 0), std::min(stop, axis.size), axis.zero_padding && start < 0,
          axis.zero_padding && stop > axis.size};
}

/// y = the maximum of `rows` rows and `floor`.
CFP_MULTIVERSION void max_of_rows(const float* x, int64_t rows, int64_t inner, float floor,
                                  float* y) {
  int64_t i = 0;
  for (; i + kWidth <= inner; i += kWidth) {
    Vector top = Vector{} + floor;
    for (int64_t r = 0; r < rows; ++r) {
      const Vector here = *reinterpret_cast<const Vector*>(x + r * inner + i);
      top = here > top ? here : top;
    }
    *reinterpret_cast<Vector*>(y + i) = top;
  }
  for (; i < inner; ++i) {
    float top = floor;
    for (int64_t r = 0; r < rows; ++r) top = std::max(top, x[r * inner + i]);
    y[i] = top;
  }
}

/// Adds g to the first row of x that equals y; to none where y is 0 and `zero_first`. Between `begin`
/// and `end` of rows that lie `inner` apart.
CFP_MULTIVERSION void add_to_first(const float* g, const float* y, const float* x, int64_t rows,
                                   int64_t inner, int64_t begin, int64_t end, bool zero_first,
                                   float* to) {
  int64_t i = begin;
  for (; i + kWidth <= end; i += kWidth) {
    const Vector top = *reinterpret_cast<const Vector*>(y + i);
    const Vector none{};
    Vector rest = *reinterpret_cast<const Vector*>(g + i);
    if (zero_first) rest = top == none ? none : rest;
    for (int64_t r = 0; r < rows; ++r) {
      const auto hit = *reinterpret_cast<const Vector*>(x + r * inner + i) == top;
      *reinterpret_cast<Vector*>(to + r * inner + i) += hit ? rest : none;
      rest = hit ? none : rest;
    }
  }
  for (; i < end; ++i) {
    float rest = zero_first && y[i] == 0 ? 0.0F : g[i];
    for (int64_t r = 0; r < rows; ++r) {
      const bool hit = x[r * inner + i] == y[i];
      to[r * inner + i] += hit ? rest : 0.0F;
      if (hit) rest = 0;
    }
  }
}

void pool(const Axis& axis, const float* x, float* y) {
  for (int64_t o = 0; o < axis.outer * axis.out; ++o) {
    const Window w = window(axis, o % axis.out);
    const float floor =
        w.zero_before || w.zero_after ? 0.0F : -std::numeric_limits<float>::infinity();
    max_of_rows(x + (o / axis.out * axis.size + w.begin) * axis.inner, w.end - w.begin, axis.inner,
                floor, y + o * axis.inner);
  }
}

/// Adds to `to`, which is like x, what g sends back; of each row the numbers [begin, end).
void pool_gradient(const Axis& axis, const float* g, const float* x, const float* y, float* to,
                   int64_t begin, int64_t end) {
  for (int64_t o = 0; o < axis.outer * axis.out; ++o) {
    const Window w = window(axis, o % axis.out);
    const int64_t first = (o / axis.out * axis.size + w.begin) * axis.inner;
    add_to_first(g + o * axis.inner, y + o * axis.inner, x + first, w.end - w.begin, axis.inner,
                 begin, end, w.zero_before, to + first);
  }
}

/// The three axes of one pooling: width and height of one frame, time of one clip.
struct Axes {
  Axis width, height, time;
  int64_t clips, frames;  ///< clips of a batch, frames of all of them

  Axes(const MaxPool3d& pool, const at::Tensor& x, const Triple& out)
      : clips(x.size(0)), frames(x.size(0) * x.size(2)) {
    const int64_t channels = x.size(1), T = x.size(2), H = x.size(3), W = x.size(4);
    const auto axis = [&](int a, int64_t outer, int64_t size, int64_t inner) {
      return Axis{outer, size, out[a], inner, pool.kernel[a], pool.stride[a],
                  pool.padding.before[a], pool.padding.after[a], pool.zero_padding};
    };
    width = axis(2, H, W, channels);
    height = axis(1, 1, H, out[2] * channels);
    time = axis(0, 1, T, int64_t{1} * out[1] * out[2] * channels);
  }
};

/// One frame pooled over its width, into `rows`, and over its height, into `frame`.
void pool_frame(const Axes& axes, const float* x, float* rows, float* frame) {
  pool(axes.width, x, rows);
  pool(axes.height, rows, frame);
}

/// All frames pooled over width and height: what is left to pool over time.
at::Tensor pool_frames(const Axes& axes, const at::Tensor& x) {
  at::Tensor frames = at::empty({axes.frames, axes.height.out_numel()}, x.options());
  at::parallel_for(0, axes.frames, 1, [&](int64_t begin, int64_t end) {
    std::vector<float> rows(static_cast<std::size_t>(axes.width.out_numel()));
    for (int64_t f = begin; f < end; ++f) {
      pool_frame(axes, x.data_ptr<float>() + f * axes.width.in_numel(), rows.data(),
                 frames.data_ptr<float>() + f * axes.height.out_numel());
    }
  });
  return frames;
}

/// What the pooled clips' gradient is at the frames before they were pooled over time.
at::Tensor time_gradient(const Axes& axes, const at::Tensor& gradient, const at::Tensor& frames,
                         const at::Tensor& y) {
  const Axis& time = axes.time;
  at::Tensor result = at::zeros_like(frames);
  constexpr int64_t kPart = 4096;  // windows overlap over time, parts of a frame don't
  const int64_t parts = (time.inner + kPart - 1) / kPart;
  at::parallel_for(0, axes.clips * parts, 1, [&](int64_t begin, int64_t end) {
    for (int64_t p = begin; p < end; ++p) {
      const int64_t in = p / parts * time.in_numel(), out = p / parts * time.out_numel();
      const int64_t first = p % parts * kPart;
      pool_gradient(time, gradient.data_ptr<float>() + out, frames.data_ptr<float>() + in,
                    y.data_ptr<float>() + out, result.data_ptr<float>() + in, first,
                    std::min(first + kPart, time.inner));
    }
  });
  return result;
}

}  // namespace

at::Tensor max_pool(const at::Tensor& x, const MaxPool3d& pool, const Triple& out_size) {
  const Axes axes(pool, x, out_size);
  at::Tensor y = at::empty({x.size(0), x.size(1), out_size[0], out_size[1], out_size[2]},
                           x.options().memory_format(kLayout));
  const at::Tensor frames = pool_frames(axes, x);
  const Axis& time = axes.time;
  at::parallel_for(0, axes.clips * time.out, 1, [&](int64_t begin, int64_t end) {
    for (int64_t o = begin; o < end; ++o) {
      Axis one = time;
      one.out = 1;
      one.before = time.before - o % time.out * time.stride;
      cfp::cpu::pool(one, frames.data_ptr<float>() + o / time.out * time.in_numel(),
                     y.data_ptr<float>() + o * time.inner);
    }
  });
  return y;
}

at::Tensor max_pool_gradient(const at::Tensor& gradient, const at::Tensor& x, const at::Tensor& y,
                             const MaxPool3d& pool) {
  const Axes axes(pool, x,
                  {static_cast<int>(y.size(2)), static_cast<int>(y.size(3)),
                   static_cast<int>(y.size(4))});
  const bool still = axes.time.identity();
  const at::Tensor frames = still ? y : pool_frames(axes, x);
  const at::Tensor frame_g = still ? gradient : time_gradient(axes, gradient, frames, y);
  at::Tensor result = at::zeros_like(x);
  const auto frame_of = [&](const at::Tensor& t, int64_t f) {
    return t.data_ptr<float>() + f * axes.height.out_numel();
  };
  at::parallel_for(0, axes.frames, 1, [&](int64_t begin, int64_t end) {
    std::vector<float> rows(static_cast<std::size_t>(axes.width.out_numel()));
    std::vector<float> row_g(rows.size());
    for (int64_t f = begin; f < end; ++f) {
      const float* from = x.data_ptr<float>() + f * axes.width.in_numel();
      float* to = result.data_ptr<float>() + f * axes.width.in_numel();
      cfp::cpu::pool(axes.width, from, rows.data());
      std::ranges::fill(row_g, 0.0F);
      pool_gradient(axes.height, frame_of(frame_g, f), rows.data(), frame_of(frames, f),
                    row_g.data(), 0, axes.height.inner);
      pool_gradient(axes.width, row_g.data(), from, rows.data(), to, 0, axes.width.inner);
    }
  });
  return result;
}

}  // namespace cfp::cpu
