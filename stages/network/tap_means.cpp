#include "stages/network/tap_means.h"

#include <vector>

#include <ATen/TensorOperators.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros_like.h>

#include "stages/network/tap_means_cpu.h"
#include "stages/network/taps.h"

namespace cfp {
namespace {

using std::int64_t;

/// Sums along one axis of x what each tap meets.
/// @return like x, with one entry a tap on that axis
at::Tensor axis_sums(const at::Tensor& x, const Window& window, int axis) {
  const int64_t dim = axis + 2, stride = window.stride[axis];
  std::vector<at::Tensor> taps;
  for (int64_t tap = 0; tap < window.kernel[axis]; ++tap) {
    const TapRange met = tap_range(window, axis, tap, x.size(dim));
    taps.push_back(
        met.count() == 0
            ? at::zeros_like(x.select(dim, 0))
            : x.slice(dim, met.first, met.first + (met.count() - 1) * stride + 1, stride).sum(dim));
  }
  return at::stack(taps, dim);
}

}  // namespace

at::Tensor tap_means(const at::Tensor& x, const Window& window) {
  const auto sums = [&] {
    if (cpu::takes_tap_sums(x)) return cpu::tap_sums(x, window);
    const at::Tensor rows = axis_sums(x, window, 2).to(at::kDouble);
    return axis_sums(axis_sums(rows, window, 1), window, 0).flatten(2).cpu();
  };
  double positions = 1;
  for (int axis = 0; axis < 3; ++axis) {
    positions *= static_cast<double>(output_positions(window, axis, x.size(axis + 2)));
  }
  return sums() / positions;
}

at::Tensor channel_means(const at::Tensor& x) { return tap_means(x, Window{}).squeeze(2); }

}  // namespace cfp
