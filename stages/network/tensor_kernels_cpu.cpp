#include "stages/network/tensor_kernels_cpu.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <limits>
#include <vector>

#include "stages/network/multiversion.h"


namespace cfp::cpu {
namespace {

using std::int64_t;

/// Positions whose contributions are summed in float32 before they are added up in float64: few
/// enough that rounding stays near 1e-6 of the sum.
constexpr int64_t kBlock = 256;
constexpr auto kLayout = at::MemoryFormat::ChannelsLast3d;

/// A tensor as rows: [batch * positions, channels].
struct Rows {
  float* data;
  int64_t batch, positions, channels;

  explicit Rows(const at::Tensor& t)
      : data(t.data_ptr<float>()),
        batch(t.size(0)),
        positions(t.size(2) * t.size(3) * t.size(4)),
        channels(t.size(1)) {}
};

// ---- sums of contributions -------------------------------------------------------------------

/// Adds max(v, 0) and max(-v, 0).
CFP_INLINE void add_parts(float v, float& positive, float& negative) {
  positive += std::max(v, 0.0F);
  negative += std::max(-v, 0.0F);
}

/// One block of rows: steps back through the ReLU and adds P and N of value, kernels and addend to
/// accumulators of [channels] each. Every pointer is a parameter of its own: only so does the
/// compiler know that none of them overlap.
template <bool kRelu, bool kResidual, bool kWrite>
CFP_INLINE void gradient_rows(float* __restrict g, const float* __restrict y,
                              const float* __restrict r, int64_t rows, int64_t channels,
                              float* __restrict vp, float* __restrict vn, float* __restrict kp,
                              float* __restrict kn, float* __restrict ap,
                              float* __restrict an) {
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t c = 0; c < channels; ++c) {
      const int64_t i = row * channels + c;
      const float s = kRelu ? (y[i] > 0 ? g[i] : 0.0F) : g[i];
      if constexpr (kWrite) g[i] = s;
      add_parts(s * y[i], vp[c], vn[c]);
      if constexpr (kResidual) {
        add_parts(s * (y[i] - r[i]), kp[c], kn[c]);
        add_parts(s * r[i], ap[c], an[c]);
      }
    }
  }
}

using GradientRows = void (*)(float*, const float*, const float*, int64_t, int64_t, float*);

CFP_MULTIVERSION void sums_only(float* g, const float* y, const float* r, int64_t rows, int64_t n,
                                float* s) {
  gradient_rows<false, false, false>(g, y, r, rows, n, s, s + n, nullptr, nullptr, nullptr,
                                     nullptr);
}
CFP_MULTIVERSION void relu_rows(float* g, const float* y, const float* r, int64_t rows, int64_t n,
                                float* s) {
  gradient_rows<true, false, true>(g, y, r, rows, n, s, s + n, nullptr, nullptr, nullptr, nullptr);
}
CFP_MULTIVERSION void sum_rows(float* g, const float* y, const float* r, int64_t rows, int64_t n,
                               float* s) {
  gradient_rows<false, true, false>(g, y, r, rows, n, s, s + n, s + 2 * n, s + 3 * n, s + 4 * n,
                                    s + 5 * n);
}
CFP_MULTIVERSION void relu_sum_rows(float* g, const float* y, const float* r, int64_t rows,
                                    int64_t n, float* s) {
  gradient_rows<true, true, true>(g, y, r, rows, n, s, s + n, s + 2 * n, s + 3 * n, s + 4 * n,
                                  s + 5 * n);
}

/// Runs `body` over blocks of rows, in parallel, and adds the blocks' sums up in order.
/// @return [batch][6][channels]: P and N of value, kernels, addend
at::Tensor summed_blocks(const Rows& g, const Rows& y, const float* residual, GradientRows body) {
  const int64_t channels = g.channels;
  const int64_t blocks = (g.positions + kBlock - 1) / kBlock;
  const int64_t width = 6 * channels;
  std::vector<float> partial(static_cast<std::size_t>(g.batch * blocks * width), 0.0F);
  at::parallel_for(0, g.batch * blocks, 1, [&](int64_t begin, int64_t end) {
    for (int64_t b = begin; b < end; ++b) {
      const int64_t first = (b % blocks) * kBlock;
      const int64_t rows = std::min(kBlock, g.positions - first);
      const int64_t offset = ((b / blocks) * g.positions + first) * channels;
      body(g.data + offset, y.data + offset, residual == nullptr ? nullptr : residual + offset,
           rows, channels, partial.data() + b * width);
    }
  });
  at::Tensor total = at::empty({g.batch, 6, channels}, at::kDouble);
  double* out = total.data_ptr<double>();
  std::fill_n(out, g.batch * width, 0.0);
  for (int64_t b = 0; b < g.batch * blocks; ++b) {
    double* to = out + (b / blocks) * width;
    const float* from = partial.data() + b * width;
    for (int64_t i = 0; i < width; ++i) to[i] += from[i];
  }
  return total;
}

ChannelSums sums_at(const at::Tensor& total, int64_t index) {
  return {total.select(1, index).clone(), total.select(1, index + 1).clone()};
}

// ---- element-wise ----------------------------------------------------------------------------

CFP_MULTIVERSION void scale_shift_rows(const float* __restrict x, const float* __restrict scale,
                                       const float* __restrict shift, float floor, int64_t rows,
                                       int64_t channels, float* __restrict y) {
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t c = 0; c < channels; ++c) {
      const int64_t i = row * channels + c;
      y[i] = std::max(x[i] * scale[c] + shift[c], floor);
    }
  }
}

CFP_MULTIVERSION void ratio(const float* __restrict relevance, float* __restrict z, int64_t n) {
  for (int64_t i = 0; i < n; ++i) z[i] = z[i] > 0 ? relevance[i] / z[i] : 0.0F;
}

CFP_MULTIVERSION void product(const float* __restrict x, float* __restrict f, int64_t n) {
  for (int64_t i = 0; i < n; ++i) f[i] *= std::max(x[i], 0.0F);
}

CFP_MULTIVERSION void split(const float* __restrict relevance, const float* __restrict y,
                            const float* __restrict r, int64_t n, float* __restrict first,
                            float* __restrict second) {
  for (int64_t i = 0; i < n; ++i) {
    const float a = std::max(y[i] - r[i], 0.0F);
    const float b = std::max(r[i], 0.0F);
    const float s = a + b > 0 ? relevance[i] / (a + b) : 0.0F;
    first[i] = a * s;
    second[i] = b * s;
  }
}

constexpr int64_t kGrain = 1 << 14;

// ---- max pooling -----------------------------------------------------------------------------

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

CFP_MULTIVERSION void max_row(const float* __restrict x, int64_t channels, float* __restrict y) {
  for (int64_t c = 0; c < channels; ++c) y[c] = std::max(y[c], x[c]);
}

/// Writes `position` where a channel's maximum y is found at x. Positions come last to first, so that
/// the first of equals stays.
CFP_MULTIVERSION void mark_row(const float* __restrict x, const float* __restrict y, int position,
                               int64_t channels, int* __restrict winner) {
  for (int64_t c = 0; c < channels; ++c) winner[c] = x[c] == y[c] ? position : winner[c];
}

/// For every output position and channel the input position of its maximum, in its clip; -1 where the
/// padding won.
std::vector<int> winners(const MaxPool3d& pool, const at::Tensor& x, const at::Tensor& y) {
  const int64_t channels = x.size(1), T = x.size(2), H = x.size(3), W = x.size(4);
  const int64_t OT = y.size(2), OH = y.size(3), OW = y.size(4);
  const float* in = x.data_ptr<float>();
  const float* top = y.data_ptr<float>();
  std::vector<int> winner(static_cast<std::size_t>(y.numel()), -1);
  at::parallel_for(0, x.size(0) * OT * OH, 1, [&](int64_t begin, int64_t end) {
    for (int64_t line = begin; line < end; ++line) {
      const float* clip = in + line / (OT * OH) * T * H * W * channels;
      const Span t = window(line / OH % OT, 0, pool, T);
      const Span h = window(line % OH, 1, pool, H);
      for (int64_t ow = 0; ow < OW; ++ow) {
        const Span w = window(ow, 2, pool, W);
        const int64_t out = (line * OW + ow) * channels;
        for (int64_t it = t.end; it-- > t.begin;) {
          for (int64_t ih = h.end; ih-- > h.begin;) {
            for (int64_t iw = w.end; iw-- > w.begin;) {
              const int64_t position = (it * H + ih) * W + iw;
              mark_row(clip + position * channels, top + out, static_cast<int>(position), channels,
                       winner.data() + out);
            }
          }
        }
      }
    }
  });
  return winner;
}

}  // namespace

bool takes(std::initializer_list<at::Tensor> tensors) {
  return std::ranges::all_of(tensors, [](const at::Tensor& t) {
    return !t.defined() || (t.is_cpu() && t.scalar_type() == at::kFloat && t.dim() == 5 &&
                            t.is_contiguous(kLayout));
  });
}

ChannelSums contribution_sums(const at::Tensor& gradient, const at::Tensor& value) {
  return sums_at(summed_blocks(Rows(gradient), Rows(value), nullptr, sums_only), 0);
}

OutputGradient relu_gradient(at::Tensor gradient, const at::Tensor& value,
                             const at::Tensor& residual, bool relu) {
  const bool added = residual.defined();
  const GradientRows body = added ? (relu ? relu_sum_rows : sum_rows)
                                  : (relu ? relu_rows : sums_only);
  const at::Tensor total = summed_blocks(Rows(gradient), Rows(value),
                                         added ? residual.data_ptr<float>() : nullptr, body);
  OutputGradient result;
  result.gradient = std::move(gradient);
  result.value = sums_at(total, 0);
  result.kernels = added ? sums_at(total, 2) : result.value;
  if (added) result.addend = sums_at(total, 4);
  return result;
}

at::Tensor scale_shift(const at::Tensor& x, const at::Tensor& scale, const at::Tensor& shift,
                       bool relu) {
  at::Tensor y = at::empty_like(x);
  const Rows in(x);
  const Rows out(y);
  const float floor = relu ? 0.0F : -std::numeric_limits<float>::infinity();
  at::parallel_for(0, in.batch * in.positions, kGrain / in.channels + 1,
                   [&](int64_t begin, int64_t end) {
                     scale_shift_rows(in.data + begin * in.channels, scale.data_ptr<float>(),
                                      shift.data_ptr<float>(), floor, end - begin, in.channels,
                                      out.data + begin * in.channels);
                   });
  return y;
}

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
  const int64_t channels = x.size(1);
  const int64_t in_positions = x.size(2) * x.size(3) * x.size(4);
  const int64_t out_positions = y.size(2) * y.size(3) * y.size(4);
  const std::vector<int> winner = winners(pool, x, y);
  at::Tensor result = at::zeros_like(x);
  const float* g = gradient.data_ptr<float>();
  float* out = result.data_ptr<float>();
  // Windows overlap in space but never across channels: threads share the channels out.
  constexpr int64_t kWidth = 16;
  const int64_t strips = (channels + kWidth - 1) / kWidth;
  at::parallel_for(0, x.size(0) * strips, 1, [&](int64_t begin, int64_t end) {
    for (int64_t strip = begin; strip < end; ++strip) {
      const int64_t clip = strip / strips;
      const int64_t c0 = strip % strips * kWidth;
      const int64_t c1 = std::min(c0 + kWidth, channels);
      float* to = out + clip * in_positions * channels;
      for (int64_t o = clip * out_positions; o < (clip + 1) * out_positions; ++o) {
        for (int64_t c = c0; c < c1; ++c) {
          const int64_t position = winner[static_cast<std::size_t>(o * channels + c)];
          if (position >= 0) to[position * channels + c] += g[o * channels + c];
        }
      }
    }
  });
  return result;
}

at::Tensor relevance_ratio(const at::Tensor& relevance, at::Tensor activation) {
  at::parallel_for(0, activation.numel(), kGrain, [&](int64_t begin, int64_t end) {
    ratio(relevance.data_ptr<float>() + begin, activation.data_ptr<float>() + begin, end - begin);
  });
  return activation;
}

at::Tensor positive_product(const at::Tensor& x, at::Tensor factor) {
  at::parallel_for(0, factor.numel(), kGrain, [&](int64_t begin, int64_t end) {
    product(x.data_ptr<float>() + begin, factor.data_ptr<float>() + begin, end - begin);
  });
  return factor;
}

AddendRelevance split_relevance(const at::Tensor& relevance, const at::Tensor& value,
                                const at::Tensor& residual) {
  AddendRelevance result{at::empty_like(value), at::empty_like(value)};
  at::parallel_for(0, value.numel(), kGrain, [&](int64_t begin, int64_t end) {
    split(relevance.data_ptr<float>() + begin, value.data_ptr<float>() + begin,
          residual.data_ptr<float>() + begin, end - begin,
          result.first.data_ptr<float>() + begin, result.residual.data_ptr<float>() + begin);
  });
  return result;
}

}  // namespace cfp::cpu
