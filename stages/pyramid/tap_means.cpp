#include "stages/pyramid/tap_means.h"

#include <algorithm>
#include <array>
#include <vector>

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>

#include "stages/network/multiversion.h"
#include "stages/network/tensor_kernels.h"

namespace cfp {
namespace {

using std::int64_t;

/// Input positions along one axis that a tap meets: first, first + stride, …
struct Met {
  int64_t first, count, stride;
};

int64_t results(const Conv3d& op, int axis, int64_t size) {
  const int64_t span = int64_t{1} * op.dilation[axis] * (op.kernel[axis] - 1) + 1;
  return (size + op.padding.before[axis] + op.padding.after[axis] - span) / op.stride[axis] + 1;
}

Met met(const Conv3d& op, int axis, int64_t tap, int64_t size) {
  const int64_t stride = op.stride[axis];
  const int64_t offset = tap * op.dilation[axis] - op.padding.before[axis];
  const int64_t begin = offset >= 0 ? 0 : (-offset + stride - 1) / stride;
  const int64_t reach = size - 1 < offset ? 0 : (size - 1 - offset) / stride + 1;
  const int64_t end = std::min(reach, results(op, axis, size));
  return {begin * stride + offset, std::max<int64_t>(end - begin, 0), stride};
}

/// Sums along one axis of x what each tap meets.
/// @return like x, with one entry a tap on that axis
at::Tensor axis_sums(const at::Tensor& x, const Conv3d& op, int axis) {
  const int64_t dim = axis + 2;
  std::vector<at::Tensor> taps;
  for (int64_t tap = 0; tap < op.kernel[axis]; ++tap) {
    const Met m = met(op, axis, tap, x.size(dim));
    taps.push_back(
        m.count == 0
            ? at::zeros_like(x.select(dim, 0))
            : x.slice(dim, m.first, m.first + (m.count - 1) * m.stride + 1, m.stride).sum(dim));
  }
  return at::stack(taps, dim);
}

/// One row of positions, [W, channels]: adds up what each tap meets, to [taps, channels].
CFP_MULTIVERSION void sum_row(const float* __restrict x, int64_t channels,
                              const std::vector<Met>& taps, float* __restrict sums) {
  constexpr int64_t kPart = 64;  // channels that stay in a first-level cache over a row
  for (int64_t c0 = 0; c0 < channels; c0 += kPart) {
    const int64_t n = std::min(kPart, channels - c0);
    for (std::size_t tap = 0; tap < taps.size(); ++tap) {
      float* to = sums + static_cast<int64_t>(tap) * channels + c0;
      const float* from = x + taps[tap].first * channels + c0;
      for (int64_t i = 0; i < taps[tap].count; ++i, from += taps[tap].stride * channels) {
        for (int64_t c = 0; c < n; ++c) to[c] += from[c];
      }
    }
  }
}

/// axis_sums() over the width in one pass over memory.
/// @param x float32 on a CPU, channels last
at::Tensor width_sums_cpu(const at::Tensor& x, const Conv3d& op) {
  const int64_t B = x.size(0), C = x.size(1), T = x.size(2), H = x.size(3), W = x.size(4);
  std::vector<Met> taps;
  for (int64_t tap = 0; tap < op.kernel[2]; ++tap) taps.push_back(met(op, 2, tap, W));
  const at::Tensor sums = at::zeros({B, T, H, op.kernel[2], C},
                                    x.options().memory_format(at::MemoryFormat::Contiguous));
  const int64_t out = op.kernel[2] * C;
  at::parallel_for(0, B * T * H, 8, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      sum_row(x.data_ptr<float>() + row * W * C, C, taps, sums.data_ptr<float>() + row * out);
    }
  });
  return sums.permute({0, 4, 1, 2, 3});
}

}  // namespace

at::Tensor tap_means(const at::Tensor& x, const Conv3d& op) {
  const bool fast = x.is_cpu() && x.scalar_type() == at::kFloat &&
                    x.is_contiguous(at::MemoryFormat::ChannelsLast3d);
  const at::Tensor rows = fast ? width_sums_cpu(x, op) : axis_sums(x, op, 2);
  const at::Tensor sums = axis_sums(axis_sums(rows.to(at::kDouble), op, 1), op, 0);
  double positions = 1;
  for (int axis = 0; axis < 3; ++axis) {
    positions *= static_cast<double>(results(op, axis, x.size(axis + 2)));
  }
  return sums.flatten(2) / positions;
}

at::Tensor channel_means(const at::Tensor& x) {
  return channel_sums(x) / static_cast<double>(x.size(2) * x.size(3) * x.size(4));
}

}  // namespace cfp
