#include "stages/network/tensor_kernels.h"

#include <array>
#include <limits>

#include <ATen/TensorOperators.h>
#include <ATen/ops/_adaptive_avg_pool3d_backward.h>
#include <ATen/ops/adaptive_avg_pool3d.h>
#include <ATen/ops/avg_pool3d.h>
#include <ATen/ops/avg_pool3d_backward.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/max_pool3d_with_indices.h>
#include <ATen/ops/max_pool3d_with_indices_backward.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros_like.h>

#include "stages/network/tensor_kernels_cpu.h"

namespace cfp {
namespace {

/// [C] as something that broadcasts over [B, C, T, H, W].
at::Tensor per_channel(const at::Tensor& values) { return values.view({1, -1, 1, 1, 1}); }

/// Padding as constant_pad_nd takes it: last axis first.
std::array<std::int64_t, 6> pad_sizes(const Padding& p) {
  return {p.before[2], p.after[2], p.before[1], p.after[1], p.before[0], p.after[0]};
}

std::array<std::int64_t, 3> longs(const Triple& t) { return {t[0], t[1], t[2]}; }

Triple pooled_size(const at::Tensor& x, const MaxPool3d& pool) {
  Triple out{};
  for (int axis = 0; axis < 3; ++axis) {
    const int size =
        static_cast<int>(x.size(axis + 2)) + pool.padding.before[axis] + pool.padding.after[axis];
    const int rest = size - pool.kernel[axis];
    out[axis] = rest / pool.stride[axis] + 1;
    const bool partial = rest % pool.stride[axis] != 0;
    // A window that started in the padding behind would hold nothing, unless padding is zeros.
    const int last_start = pool.zero_padding ? size : size - pool.padding.after[axis];
    if (pool.ceil_mode && partial && out[axis] * pool.stride[axis] < last_start) ++out[axis];
  }
  return out;
}

/// The input with its padding, grown or cut at the ends to just what the windows cover, so that
/// they can be laid out without ceil_mode.
at::Tensor pad_for_max(const at::Tensor& x, const MaxPool3d& pool) {
  constexpr double kNever = -std::numeric_limits<double>::infinity();
  const Triple out = pooled_size(x, pool);
  const at::Tensor padded =
      pool.padding == Padding{}
          ? x
          : at::constant_pad_nd(x, pad_sizes(pool.padding), pool.zero_padding ? 0.0 : kNever);
  Padding rest;
  for (int axis = 0; axis < 3; ++axis) {
    const int covered = (out[axis] - 1) * pool.stride[axis] + pool.kernel[axis];
    rest.after[axis] = covered - static_cast<int>(padded.size(axis + 2));
  }
  return rest == Padding{} ? padded : at::constant_pad_nd(padded, pad_sizes(rest), kNever);
}

}  // namespace

ChannelSums contribution_sums(const at::Tensor& gradient, const at::Tensor& value) {
  if (cpu::takes({gradient, value})) return cpu::contribution_sums(gradient, value);
  const at::Tensor product = (gradient * value).flatten(2).to(at::kDouble);
  return {product.clamp_min(0).sum(2), (-product).clamp_min(0).sum(2)};
}

at::Tensor channel_sums(const at::Tensor& x) {
  if (cpu::takes({x})) return cpu::channel_sums(x);
  return x.flatten(2).sum(2, false, at::kDouble);
}

OutputGradient relu_gradient(at::Tensor gradient, const at::Tensor& value,
                             const at::Tensor& residual, bool relu) {
  if (cpu::takes({gradient, value, residual})) {
    return cpu::relu_gradient(std::move(gradient), value, residual, relu);
  }
  OutputGradient result;
  result.gradient =
      relu ? at::where(value > 0, gradient, at::zeros_like(gradient)) : std::move(gradient);
  result.value = contribution_sums(result.gradient, value);
  result.kernels = result.value;
  if (residual.defined()) {
    result.kernels = contribution_sums(result.gradient, value - residual);
    result.addend = contribution_sums(result.gradient, residual);
  }
  return result;
}

at::Tensor gather_channels(const at::Tensor& x, std::int64_t clip,
                           const std::vector<std::int64_t>& channels) {
  const at::Tensor rows = x[clip].permute({1, 2, 3, 0});
  if (static_cast<std::int64_t>(channels.size()) == rows.size(3)) return rows.contiguous();
  if (cpu::takes({x})) return cpu::gather_channels(x, clip, channels);
  const at::Tensor indices = at::tensor(channels, at::kLong).to(x.device());
  return rows.index_select(3, indices).contiguous();
}

at::Tensor scale_shift(const at::Tensor& x, const at::Tensor& scale, const at::Tensor& shift,
                       bool relu) {
  if (cpu::takes({x})) return cpu::scale_shift(x, scale, shift, relu);
  const at::Tensor y = x * per_channel(scale) + per_channel(shift);
  return relu ? y.clamp_min(0) : y;
}

at::Tensor scale_gradient(const at::Tensor& gradient, const at::Tensor& scale,
                          const at::Tensor& add_to) {
  if (add_to.defined() && cpu::takes({gradient, add_to})) {
    return cpu::scale_gradient(gradient, scale, add_to);
  }
  const at::Tensor result = gradient * per_channel(scale);
  return add_to.defined() ? result + add_to : result;
}

at::Tensor max_pool(const at::Tensor& x, const MaxPool3d& pool) {
  if (cpu::takes({x})) return cpu::max_pool(x, pool, pooled_size(x, pool));
  return std::get<0>(at::max_pool3d_with_indices(pad_for_max(x, pool), longs(pool.kernel),
                                                 longs(pool.stride), 0, 1, false));
}

at::Tensor max_pool_gradient(const at::Tensor& gradient, const at::Tensor& x, const at::Tensor& y,
                             const MaxPool3d& pool) {
  if (cpu::takes({gradient, x, y})) return cpu::max_pool_gradient(gradient, x, y, pool);
  const at::Tensor padded = pad_for_max(x, pool).contiguous();
  const auto kernel = longs(pool.kernel);
  const auto stride = longs(pool.stride);
  const at::Tensor indices =
      std::get<1>(at::max_pool3d_with_indices(padded, kernel, stride, 0, 1, false));
  const at::Tensor result = at::max_pool3d_with_indices_backward(
      gradient.contiguous(), padded, kernel, stride, 0, 1, false, indices);
  Padding cut;  // what was put around the input; what was cut off comes back as zeros
  for (int axis = 0; axis < 3; ++axis) {
    cut.before[axis] = -pool.padding.before[axis];
    cut.after[axis] =
        static_cast<int>(x.size(axis + 2) - result.size(axis + 2)) + pool.padding.before[axis];
  }
  return at::constant_pad_nd(result, pad_sizes(cut), 0);
}

at::Tensor avg_pool(const at::Tensor& x, const AvgPool3d& pool) {
  return at::avg_pool3d(x, longs(pool.kernel), longs(pool.stride), longs(pool.padding),
                        pool.ceil_mode, pool.count_padding);
}

at::Tensor avg_pool_gradient(const at::Tensor& gradient, const at::Tensor& x,
                             const AvgPool3d& pool) {
  return at::avg_pool3d_backward(gradient, x, longs(pool.kernel), longs(pool.stride),
                                 longs(pool.padding), pool.ceil_mode, pool.count_padding,
                                 std::nullopt);
}

at::Tensor adaptive_average(const at::Tensor& x, const AdaptiveAverage& pool) {
  return at::adaptive_avg_pool3d(x, longs(pool.size)).contiguous(at::MemoryFormat::ChannelsLast3d);
}

at::Tensor adaptive_average_gradient(const at::Tensor& gradient, const at::Tensor& x) {
  return at::_adaptive_avg_pool3d_backward(gradient.contiguous(), x.contiguous());
}

at::Tensor relevance_ratio(const at::Tensor& relevance, at::Tensor activation) {
  if (cpu::takes({relevance, activation})) {
    return cpu::relevance_ratio(relevance, std::move(activation));
  }
  const at::Tensor ratio = relevance / activation;
  return at::where(activation > 0, ratio, at::zeros_like(ratio));
}

at::Tensor positive_product(const at::Tensor& x, at::Tensor factor, const at::Tensor& add_to) {
  if (cpu::takes({x, factor, add_to})) return cpu::positive_product(x, std::move(factor), add_to);
  const at::Tensor product = x.clamp_min(0) * factor;
  return add_to.defined() ? product + add_to : product;
}

AddendRelevance split_relevance(const at::Tensor& relevance, const at::Tensor& value,
                                const at::Tensor& residual) {
  if (cpu::takes({relevance, value, residual})) {
    return cpu::split_relevance(relevance, value, residual);
  }
  const at::Tensor first = (value - residual).clamp_min(0);
  const at::Tensor second = residual.clamp_min(0);
  const at::Tensor ratio = relevance_ratio(relevance, first + second);
  return {first * ratio, second * ratio};
}

}  // namespace cfp
