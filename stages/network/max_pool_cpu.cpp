// Maximum pooling of tensor_kernels.h. Forward it is one pooling an axis: over the width, the
// height, then over time. The maximum of maxima is the maximum; three windows of 3 cost 9
// comparisons where one of 3 x 3 x 3 costs 27, and each frame stays in the cache for both of its
// axes. Back, every window is gone through once, in rows that stay in the cache.
#include <algorithm>
#include <limits>
#include <vector>

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros_like.h>

#include "stages/network/float_vector.h"
#include "stages/network/multiversion.h"
#include "stages/network/tensor_kernels_cpu.h"

namespace cfp::cpu {
namespace {

using std::int64_t;

constexpr auto kLayout = at::MemoryFormat::ChannelsLast3d;
constexpr int64_t kWidth = kVectorFloats;
using Vector = FloatVector;

/// Pooling of [outer, size, inner] to [outer, out, inner].
struct Axis {
  int64_t outer, size, out, inner;
  int64_t kernel, stride, before, after;
  bool zero_padding;

  bool identity() const { return kernel == 1 && stride == 1; }
  int64_t in_numel() const { return outer * size * inner; }
  int64_t out_numel() const { return outer * out * inner; }
};

/// One window: rows [begin, end) of the tensor, and whether zeros beside them count.
struct Window {
  int64_t begin, end;
  bool padded;
};

CFP_INLINE Window window(const Axis& axis, int64_t out) {
  const int64_t start = out * axis.stride - axis.before;
  // A window of ceil_mode may also reach past the padding; that part never counts.
  const int64_t stop = std::min(start + axis.kernel, axis.size + axis.after);
  return {std::max<int64_t>(start, 0), std::min(stop, axis.size),
          axis.zero_padding && (start < 0 || stop > axis.size)};
}

/// y = the maximum of `rows` rows and `floor`.
CFP_MULTIVERSION void max_of_rows(const float* x, int64_t rows, int64_t inner, float floor,
                                  float* y) {
  int64_t i = 0;
  for (; i + kWidth <= inner; i += kWidth) {
    Vector top = Vector{} + floor;
    for (int64_t r = 0; r < rows; ++r) {
      const Vector here = vectors_at<Vector>(x + r * inner + i)->value;
      top = here > top ? here : top;
    }
    vectors_at<Vector>(y + i)->value = top;
  }
  for (; i < inner; ++i) {
    float top = floor;
    for (int64_t r = 0; r < rows; ++r) top = std::max(top, x[r * inner + i]);
    y[i] = top;
  }
}

void pool(const Axis& axis, const float* x, float* y) {
  for (int64_t o = 0; o < axis.outer * axis.out; ++o) {
    const Window w = window(axis, o % axis.out);
    const float floor = w.padded ? 0.0F : -std::numeric_limits<float>::infinity();
    max_of_rows(x + (o / axis.out * axis.size + w.begin) * axis.inner, w.end - w.begin, axis.inner,
                floor, y + o * axis.inner);
  }
}

/// Channels that go back together: as many as there are where one thread does it, for long runs of
/// memory; each channel's sums are the same however they are divided.
int64_t block_of(int64_t channels) {
  const int64_t threads = at::get_num_threads();
  return ((channels + threads - 1) / threads + kWidth - 1) / kWidth * kWidth;
}

/// The three axes of one pooling: width and height of one frame, time of one clip.
struct Axes {
  Axis width, height, time;
  int64_t clips, frames;  ///< clips of a batch, frames of all of them

  Axes(const MaxPool3d& pool, const at::Tensor& x, const Triple& out)
      : clips(x.size(0)), frames(x.size(0) * x.size(2)) {
    const int64_t channels = x.size(1), T = x.size(2), H = x.size(3), W = x.size(4);
    const auto axis = [&](int a, int64_t outer, int64_t size, int64_t inner) {
      return Axis{outer,
                  size,
                  out[a],
                  inner,
                  pool.kernel[a],
                  pool.stride[a],
                  pool.padding.before[a],
                  pool.padding.after[a],
                  pool.zero_padding};
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

// ---- back ------------------------------------------------------------------------------------

/// The windows of one row of the result, and the tensors on their way back. Pointers are those of
/// one clip and of the first channel of a block.
struct Row {
  Window t, h;
  const Axis& width;
  int64_t channels, row, frame;  ///< of x: numbers from position to position, row to row, ...
  const float* x;
  float* to;       ///< like x: the result
  const float* y;  ///< of this row of the pooled tensor
  const float* g;
};

/// Adds g to the first position of the window whose x equals y; to none where the padding has it.
template <class Number>
CFP_INLINE void send_back(const Row& r, const Window& w, int64_t from, int64_t channel) {
  const auto at = [&](auto* p) { return vectors_at<Number>(p + channel); };
  const Number none{};
  const Number top = at(r.y + from)->value;
  Number rest = at(r.g + from)->value;
  if (r.t.padded || r.h.padded || w.padded) rest = top == none ? none : rest;
  for (int64_t t = r.t.begin; t < r.t.end; ++t) {
    for (int64_t h = r.h.begin; h < r.h.end; ++h) {
      const int64_t line = t * r.frame + h * r.row;
      for (int64_t k = w.begin; k < w.end; ++k) {
        const int64_t here = line + k * r.channels;
        const auto hit = at(r.x + here)->value == top;
        at(r.to + here)->value += hit ? rest : none;
        rest = hit ? none : rest;
      }
    }
  }
}

CFP_MULTIVERSION void send_row_back(const Row& r, int64_t block) {
  for (int64_t o = 0; o < r.width.out; ++o) {
    const Window w = window(r.width, o);
    int64_t channel = 0;
    for (; channel + kWidth <= block; channel += kWidth) {
      send_back<Vector>(r, w, o * r.channels, channel);
    }
    for (; channel < block; ++channel) send_back<float>(r, w, o * r.channels, channel);
  }
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
  const Axes axes(
      pool, x,
      {static_cast<int>(y.size(2)), static_cast<int>(y.size(3)), static_cast<int>(y.size(4))});
  const int64_t channels = x.size(1), out_row = axes.width.out * channels;
  const int64_t block = block_of(channels), blocks = (channels + block - 1) / block;
  at::Tensor result = at::zeros_like(x);
  at::parallel_for(0, axes.clips * blocks, 1, [&](int64_t begin, int64_t end) {
    for (int64_t part = begin; part < end; ++part) {
      const int64_t first = part % blocks * block;
      const int64_t in = part / blocks * axes.time.size * axes.width.in_numel() + first;
      const int64_t out = part / blocks * axes.time.out_numel() + first;
      // All frames of a row, then the next row: so what windows share is still in the cache.
      for (int64_t h = 0; h < axes.height.out; ++h) {
        for (int64_t t = 0; t < axes.time.out; ++t) {
          const int64_t line = out + t * axes.time.inner + h * out_row;
          send_row_back({window(axes.time, t), window(axes.height, h), axes.width, channels,
                         x.size(4) * channels, axes.width.in_numel(), x.data_ptr<float>() + in,
                         result.data_ptr<float>() + in, y.data_ptr<float>() + line,
                         gradient.data_ptr<float>() + line},
                        std::min(block, channels - first));
        }
      }
    }
  });
  return result;
}

}  // namespace cfp::cpu
