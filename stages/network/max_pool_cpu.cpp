// Maximum pooling of tensor_kernels.h in one pass over memory, forward and back.
#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <limits>

#include "stages/network/multiversion.h"
#include "stages/network/tensor_kernels_cpu.h"

namespace cfp::cpu {
namespace {

using std::int64_t;

constexpr auto kLayout = at::MemoryFormat::ChannelsLast3d;

/// The part of a window that lies inside the tensor, along one axis.
struct Span {
  int64_t begin, end;
  bool clipped;
};

Span window(int64_t out, int axis, const MaxPool3d& pool, int64_t size) {
  const int64_t start = out * pool.stride[axis] - pool.padding.before[axis];
  const int64_t stop = start + pool.kernel[axis];
  // A window of ceil_mode may also reach past the padding; that part never counts.
  const int64_t padded_stop = std::min(stop, size + pool.padding.after[axis]);
  return {std::max<int64_t>(start, 0), std::min(stop, size), start < 0 || padded_stop > size};
}

/// One window, its positions in the clip's grid.
struct Window {
  Span t, h, w;
  int64_t H, W;
};

CFP_MULTIVERSION void max_row(const float* __restrict x, int64_t channels, float* __restrict y) {
  for (int64_t c = 0; c < channels; ++c) y[c] = std::max(y[c], x[c]);
}

/// Channels that are routed back together.
constexpr int kWidth = 16;
using Values = float __attribute__((vector_size(sizeof(float) * kWidth), aligned(sizeof(float))));
using Places = int __attribute__((vector_size(sizeof(int) * kWidth)));

/// Finds where each channel of a strip has its maximum y; -1 where the padding won. Positions come
/// last to first, so that the first of equals stays.
CFP_MULTIVERSION void find_maxima(const float* x, int64_t channels, const float* y,
                                  const Window& window, int* places) {
  const Values top = *reinterpret_cast<const Values*>(y);
  Places found = Places{} - 1;
  for (int64_t t = window.t.end; t-- > window.t.begin;) {
    for (int64_t h = window.h.end; h-- > window.h.begin;) {
      for (int64_t w = window.w.end; w-- > window.w.begin;) {
        const int64_t position = (t * window.H + h) * window.W + w;
        const Values here = *reinterpret_cast<const Values*>(x + position * channels);
        found = here == top ? Places{} + static_cast<int>(position) : found;
      }
    }
  }
  for (int c = 0; c < kWidth; ++c) places[c] = found[c];
}

/// The same for fewer channels than a strip has.
void find_maxima_of_some(const float* x, int64_t channels, const float* y, const Window& window,
                         int64_t count, int* places) {
  std::fill_n(places, count, -1);
  for (int64_t t = window.t.end; t-- > window.t.begin;) {
    for (int64_t h = window.h.end; h-- > window.h.begin;) {
      for (int64_t w = window.w.end; w-- > window.w.begin;) {
        const int64_t position = (t * window.H + h) * window.W + w;
        for (int64_t c = 0; c < count; ++c) {
          if (x[position * channels + c] == y[c]) places[c] = static_cast<int>(position);
        }
      }
    }
  }
}

}  // namespace

at::Tensor max_pool(const at::Tensor& x, const MaxPool3d& pool, const Triple& out_size) {
  const int64_t batch = x.size(0), channels = x.size(1);
  const int64_t T = x.size(2), H = x.size(3), W = x.size(4);
  at::Tensor y = at::empty({batch, channels, out_size[0], out_size[1], out_size[2]},
                           x.options().memory_format(kLayout));
  const float* in = x.data_ptr<float>();
  float* out = y.data_ptr<float>();
  const int64_t lines = batch * out_size[0] * out_size[1];
  at::parallel_for(0, lines, 1, [&](int64_t begin, int64_t end) {
    for (int64_t line = begin; line < end; ++line) {
      const int64_t b = line / (out_size[0] * out_size[1]);
      const Span t = window(line / out_size[1] % out_size[0], 0, pool, T);
      const Span h = window(line % out_size[1], 1, pool, H);
      for (int64_t ow = 0; ow < out_size[2]; ++ow) {
        const Span w = window(ow, 2, pool, W);
        const bool zero = pool.zero_padding && (t.clipped || h.clipped || w.clipped);
        float* to = out + (line * out_size[2] + ow) * channels;
        std::fill_n(to, channels, zero ? 0.0F : -std::numeric_limits<float>::infinity());
        for (int64_t it = t.begin; it < t.end; ++it) {
          for (int64_t ih = h.begin; ih < h.end; ++ih) {
            for (int64_t iw = w.begin; iw < w.end; ++iw) {
              max_row(in + (((b * T + it) * H + ih) * W + iw) * channels, channels, to);
            }
          }
        }
      }
    }
  });
  return y;
}

at::Tensor max_pool_gradient(const at::Tensor& gradient, const at::Tensor& x, const at::Tensor& y,
                             const MaxPool3d& pool) {
  const int64_t channels = x.size(1), T = x.size(2), H = x.size(3), W = x.size(4);
  const int64_t OT = y.size(2), OH = y.size(3), OW = y.size(4);
  at::Tensor result = at::zeros_like(x);
  const float* in = x.data_ptr<float>();
  const float* top = y.data_ptr<float>();
  const float* g = gradient.data_ptr<float>();
  float* out = result.data_ptr<float>();
  const int64_t strips = (channels + kWidth - 1) / kWidth;
  // Windows overlap in space but never across channels: threads share the channels out.
  at::parallel_for(0, x.size(0) * strips, 1, [&](int64_t begin, int64_t end) {
    for (int64_t strip = begin; strip < end; ++strip) {
      const int64_t clip = strip / strips, c0 = strip % strips * kWidth;
      const int64_t count = std::min<int64_t>(kWidth, channels - c0);
      const int64_t first = clip * T * H * W * channels + c0;
      for (int64_t o = 0; o < OT * OH * OW; ++o) {
        const int64_t at = (clip * OT * OH * OW + o) * channels + c0;
        const Window here{window(o / (OH * OW), 0, pool, T), window(o / OW % OH, 1, pool, H),
                          window(o % OW, 2, pool, W), H, W};
        int places[kWidth];
        if (count == kWidth) {
          find_maxima(in + first, channels, top + at, here, places);
        } else {
          find_maxima_of_some(in + first, channels, top + at, here, count, places);
        }
        for (int64_t c = 0; c < count; ++c) {
          if (places[c] >= 0) out[first + places[c] * channels + c] += g[at + c];
        }
      }
    }
  });
  return result;
}

}  // namespace cfp::cpu
