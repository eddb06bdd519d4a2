#include "stages/network/tensor_kernels_cpu.h"

#include <algorithm>
#include <limits>
#include <vector>

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/zeros.h>

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
                              float* __restrict kn, float* __restrict ap, float* __restrict an) {
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

CFP_MULTIVERSION void add_rows(const float* __restrict x, int64_t rows, int64_t channels,
                               float* __restrict sums) {
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t c = 0; c < channels; ++c) sums[c] += x[row * channels + c];
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

CFP_MULTIVERSION void scale_rows(const float* __restrict g, const float* __restrict scale,
                                 const float* __restrict add_to, int64_t rows, int64_t channels,
                                 float* __restrict out) {
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t c = 0; c < channels; ++c) {
      const int64_t i = row * channels + c;
      out[i] = g[i] * scale[c] + add_to[i];
    }
  }
}

CFP_MULTIVERSION void ratio(const float* __restrict relevance, float* __restrict z, int64_t n) {
  for (int64_t i = 0; i < n; ++i) z[i] = z[i] > 0 ? relevance[i] / z[i] : 0.0F;
}

CFP_MULTIVERSION void product(const float* __restrict x, float* __restrict f, int64_t n) {
  for (int64_t i = 0; i < n; ++i) f[i] *= std::max(x[i], 0.0F);
}

CFP_MULTIVERSION void add_product(const float* __restrict x, const float* __restrict add_to,
                                  float* __restrict f, int64_t n) {
  for (int64_t i = 0; i < n; ++i) f[i] = f[i] * std::max(x[i], 0.0F) + add_to[i];
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

// ---- gathering -------------------------------------------------------------------------------

CFP_MULTIVERSION void gather(const float* __restrict x, int64_t rows, int64_t row,
                             const int* __restrict channels, int64_t n, int64_t width,
                             float* __restrict out) {
  for (int64_t p = 0; p < rows; ++p) {
    for (int64_t i = 0; i < n; ++i) out[p * width + i] = x[p * row + channels[i]];
    for (int64_t i = n; i < width; ++i) out[p * width + i] = 0;
  }
}

}  // namespace

bool takes(std::initializer_list<at::Tensor> tensors) {
  return std::ranges::all_of(tensors, [](const at::Tensor& t) {
    return !t.defined() || (t.is_cpu() && t.scalar_type() == at::kFloat && t.dim() == 5 &&
                            t.is_contiguous(kLayout));
  });
}

at::Tensor channel_sums(const at::Tensor& x) {
  const Rows in(x);
  const int64_t blocks = (in.positions + kBlock - 1) / kBlock;
  const at::Tensor partial = at::zeros({in.batch, blocks, in.channels}, x.options());
  at::parallel_for(0, in.batch * blocks, 1, [&](int64_t begin, int64_t end) {
    for (int64_t b = begin; b < end; ++b) {
      const int64_t first = b % blocks * kBlock;
      add_rows(in.data + (b / blocks * in.positions + first) * in.channels,
               std::min(kBlock, in.positions - first), in.channels,
               partial.data_ptr<float>() + b * in.channels);
    }
  });
  return partial.sum(1, false, at::kDouble);
}

ChannelSums contribution_sums(const at::Tensor& gradient, const at::Tensor& value) {
  return sums_at(summed_blocks(Rows(gradient), Rows(value), nullptr, sums_only), 0);
}

OutputGradient relu_gradient(at::Tensor gradient, const at::Tensor& value,
                             const at::Tensor& residual, bool relu) {
  const bool added = residual.defined();
  const GradientRows body =
      added ? (relu ? relu_sum_rows : sum_rows) : (relu ? relu_rows : sums_only);
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

void gather_rows(const float* x, int64_t rows, int64_t row, const std::vector<int>& channels,
                 int64_t width, float* out) {
  gather(x, rows, row, channels.data(), static_cast<int64_t>(channels.size()), width, out);
}

at::Tensor gather_channels(const at::Tensor& x, int64_t clip,
                           const std::vector<int64_t>& channels) {
  const Rows in(x);
  const std::vector<int> indices(channels.begin(), channels.end());
  const auto n = static_cast<int64_t>(indices.size());
  at::Tensor out = at::empty({x.size(2), x.size(3), x.size(4), n}, x.options());
  const float* from = in.data + clip * in.positions * in.channels;
  at::parallel_for(0, in.positions, kGrain / in.channels + 1, [&](int64_t begin, int64_t end) {
    gather_rows(from + begin * in.channels, end - begin, in.channels, indices, n,
                out.data_ptr<float>() + begin * n);
  });
  return out;
}

at::Tensor scale_gradient(const at::Tensor& gradient, const at::Tensor& scale,
                          const at::Tensor& add_to) {
  at::Tensor result = at::empty_like(gradient);
  const Rows g(gradient);
  at::parallel_for(
      0, g.batch * g.positions, kGrain / g.channels + 1, [&](int64_t begin, int64_t end) {
        const int64_t offset = begin * g.channels;
        scale_rows(g.data + offset, scale.data_ptr<float>(), add_to.data_ptr<float>() + offset,
                   end - begin, g.channels, result.data_ptr<float>() + offset);
      });
  return result;
}

at::Tensor relevance_ratio(const at::Tensor& relevance, at::Tensor activation) {
  at::parallel_for(0, activation.numel(), kGrain, [&](int64_t begin, int64_t end) {
    ratio(relevance.data_ptr<float>() + begin, activation.data_ptr<float>() + begin, end - begin);
  });
  return activation;
}

at::Tensor positive_product(const at::Tensor& x, at::Tensor factor, const at::Tensor& add_to) {
  at::parallel_for(0, factor.numel(), kGrain, [&](int64_t begin, int64_t end) {
    const float* from = x.data_ptr<float>() + begin;
    float* to = factor.data_ptr<float>() + begin;
    if (add_to.defined()) {
      add_product(from, add_to.data_ptr<float>() + begin, to, end - begin);
    } else {
      product(from, to, end - begin);
    }
  });
  return factor;
}

AddendRelevance split_relevance(const at::Tensor& relevance, const at::Tensor& value,
                                const at::Tensor& residual) {
  AddendRelevance result{at::empty_like(value), at::empty_like(value)};
  at::parallel_for(0, value.numel(), kGrain, [&](int64_t begin, int64_t end) {
    split(relevance.data_ptr<float>() + begin, value.data_ptr<float>() + begin,
          residual.data_ptr<float>() + begin, end - begin, result.first.data_ptr<float>() + begin,
          result.residual.data_ptr<float>() + begin);
  });
  return result;
}

}  // namespace cfp::cpu
