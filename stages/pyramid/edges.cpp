#include "stages/pyramid/edges.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/index.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <array>
#include <optional>

namespace cfp {
namespace {

using std::int64_t;

at::Tensor index_tensor(const std::vector<int64_t>& indices, const at::Device& device) {
  return at::from_blob(const_cast<int64_t*>(indices.data()), {static_cast<int64_t>(indices.size())},
                       at::TensorOptions(at::kLong))
      .to(device, at::kLong, /*non_blocking=*/false, /*copy=*/true);
}

/// [rows, columns, ...] of the numbers named of a tensor's first two axes.
at::Tensor some_of(const at::Tensor& t, const std::vector<int64_t>& rows,
                   const std::vector<int64_t>& columns) {
  const std::optional<at::Tensor> at_rows = index_tensor(rows, t.device()).unsqueeze(1);
  const std::optional<at::Tensor> at_columns = index_tensor(columns, t.device());
  return at::index(t, {at_rows, at_columns});
}

/// Output positions whose tap lies inside the input, along one axis: [begin, end), and the first
/// input position they meet.
struct TapRange {
  int64_t begin, end, first;
  int64_t count() const { return end - begin; }
};

TapRange tap_range(const Conv3d& op, int axis, int64_t tap, int64_t in_size, int64_t out_size) {
  const int64_t stride = op.stride[axis];
  const int64_t offset = tap * op.dilation[axis] - op.padding.before[axis];
  const int64_t begin = offset >= 0 ? 0 : (-offset + stride - 1) / stride;
  const int64_t end =
      in_size - 1 < offset ? 0 : std::min(out_size, (in_size - 1 - offset) / stride + 1);
  return {begin, std::max(begin, end), begin * stride + offset};
}

/// The part of x [T, H, W, n] that one tap meets, as rows [positions, n].
at::Tensor rows_of_tap(const at::Tensor& x, const std::array<TapRange, 3>& ranges,
                       const Triple& stride) {
  at::Tensor part = x;
  for (int axis = 0; axis < 3; ++axis) {
    const TapRange& r = ranges[static_cast<std::size_t>(axis)];
    part = part.slice(axis, r.first, r.first + (r.count() - 1) * stride[axis] + 1, stride[axis]);
  }
  return part.reshape({-1, x.size(3)});
}

at::Tensor rows_of_output(const at::Tensor& g, const std::array<TapRange, 3>& ranges) {
  at::Tensor part = g;
  for (int axis = 0; axis < 3; ++axis) {
    const TapRange& r = ranges[static_cast<std::size_t>(axis)];
    part = part.slice(axis, r.begin, r.end);
  }
  return part.reshape({-1, g.size(3)});
}

/// Scores of kernels and channels that all see one another, one product a tap: any stride, any
/// dilation. `weight` is [kernels, channels, taps].
at::Tensor dense_scores(const Conv3d& op, const at::Tensor& weight, const at::Tensor& gradient,
                        const at::Tensor& entering) {
  at::Tensor scores = at::zeros({weight.size(0), weight.size(1)}, weight.options());
  int64_t tap = 0;
  for (int64_t kt = 0; kt < op.kernel[0]; ++kt) {
    for (int64_t kh = 0; kh < op.kernel[1]; ++kh) {
      for (int64_t kw = 0; kw < op.kernel[2]; ++kw, ++tap) {
        const std::array ranges{tap_range(op, 0, kt, entering.size(0), gradient.size(0)),
                                tap_range(op, 1, kh, entering.size(1), gradient.size(1)),
                                tap_range(op, 2, kw, entering.size(2), gradient.size(2))};
        const bool meets = std::ranges::all_of(ranges, [](auto r) { return r.count() > 0; });
        if (!meets) continue;
        const at::Tensor products =
            at::mm(rows_of_output(gradient, ranges).t(), rows_of_tap(entering, ranges, op.stride));
        scores.addcmul_(products, weight.select(2, tap));
      }
    }
  }
  return scores;
}

/// Scores of a plain convolution of stride 1. With zeros around x and g on one grid, what a row of
/// taps meets is one view of x, so that one product serves the row and nothing is copied.
at::Tensor unit_stride_scores(const Conv3d& op, const at::Tensor& weight,
                              const at::Tensor& gradient, const at::Tensor& entering) {
  const int64_t kernels = weight.size(0), channels = weight.size(1);
  const auto& pad = op.padding;
  const int64_t kW = op.kernel[2];
  const at::Tensor x = at::constant_pad_nd(
      entering,
      std::array<int64_t, 6>{0, 0, pad.before[2], pad.after[2], pad.before[1], pad.after[1]});
  const int64_t height = x.size(1), width = x.size(2);
  const int64_t frame = height * width;
  const at::Tensor g = at::constant_pad_nd(
      gradient,
      std::array<int64_t, 6>{0, 0, 0, width - gradient.size(2), 0, height - gradient.size(1)});
  const at::Tensor x_rows = x.reshape({-1, channels});
  const at::Tensor g_rows = g.reshape({-1, kernels});
  // [kernels, channels, kT, kH, kW] -> [kT, kH, kernels, kW * channels], as the products come out
  const at::Tensor taps = weight.view({kernels, channels, op.kernel[0], op.kernel[1], kW})
                              .permute({2, 3, 0, 4, 1})
                              .reshape({op.kernel[0], op.kernel[1], kernels, kW * channels});
  at::Tensor scores = at::zeros({kernels, kW * channels}, weight.options());
  for (int64_t kt = 0; kt < op.kernel[0]; ++kt) {
    const TapRange t = tap_range(op, 0, kt, entering.size(0), gradient.size(0));
    if (t.count() <= 0) continue;
    for (int64_t kh = 0; kh < op.kernel[1]; ++kh) {
      const int64_t first = t.first * frame + kh * width;
      // The last positions of the grid hold no gradient: where x ends before them they are left
      // out.
      const int64_t rows = std::min(t.count() * frame, x_rows.size(0) - first - (kW - 1));
      const at::Tensor met = x_rows.as_strided({rows, kW * channels}, {channels, 1},
                                               x_rows.storage_offset() + first * channels);
      scores.addcmul_(at::mm(g_rows.narrow(0, t.begin * frame, rows).t(), met), taps[kt][kh]);
    }
  }
  return scores.view({kernels, kW, channels}).sum(1);
}

at::Tensor bundle_scores(const Conv3d& op, const at::Tensor& weight, const at::Tensor& gradient,
                         const at::Tensor& entering) {
  const bool one_tap = op.kernel == Triple{1, 1, 1};
  if (!one_tap && op.stride == Triple{1, 1, 1} && op.dilation == Triple{1, 1, 1}) {
    return unit_stride_scores(op, weight, gradient, entering);
  }
  return dense_scores(op, weight, gradient, entering);
}

/// Positions [first, last) in an ascending list whose values lie in [low, high).
std::pair<int64_t, int64_t> positions_between(const std::vector<int64_t>& list, int64_t low,
                                              int64_t high) {
  return {std::ranges::lower_bound(list, low) - list.begin(),
          std::ranges::lower_bound(list, high) - list.begin()};
}

/// Neighbouring groups of a convolution that are scored together, as one dense layer whose weights
/// are 0 between groups: thin products cost more than the zeros.
struct Bundle {
  int64_t first_group, end_group;
  int64_t k0, k1;  ///< positions in the list of kernels
  int64_t c0, c1;  ///< positions in the list of channels
};

std::vector<Bundle> bundles(const Conv3d& op, const EdgeInput& input) {
  constexpr int64_t kWide = 64;  // kernels or channels enough for a product to run at full speed
  const int64_t out_width = op.out_channels / op.groups;
  const int64_t in_width = op.in_channels / op.groups;
  std::vector<Bundle> result;
  Bundle open{0, 0, 0, 0, 0, 0};
  for (int64_t group = 1; group <= op.groups; ++group) {
    open.end_group = group;
    open.k1 = positions_between(input.kernels, 0, group * out_width).second;
    open.c1 = positions_between(input.channels, 0, group * in_width).second;
    const bool full = open.k1 - open.k0 >= kWide || open.c1 - open.c0 >= kWide;
    if (!full && group < op.groups) continue;
    if (open.k1 > open.k0 && open.c1 > open.c0) result.push_back(open);
    open = {group, group, open.k1, open.k1, open.c1, open.c1};
  }
  return result;
}

/// Weights of a bundle's kernels over its channels: [kernels, channels, taps].
at::Tensor bundle_weight(const Conv3d& op, const at::Tensor& weight, const EdgeInput& input,
                         const Bundle& bundle) {
  const int64_t out_width = op.out_channels / op.groups;
  const int64_t in_width = op.in_channels / op.groups;
  if (op.groups == 1) return some_of(weight, input.kernels, input.channels);
  at::Tensor dense =
      at::zeros({bundle.k1 - bundle.k0, bundle.c1 - bundle.c0, weight.size(2)}, weight.options());
  for (int64_t group = bundle.first_group; group < bundle.end_group; ++group) {
    const auto [k0, k1] =
        positions_between(input.kernels, group * out_width, (group + 1) * out_width);
    const auto [c0, c1] =
        positions_between(input.channels, group * in_width, (group + 1) * in_width);
    if (k0 == k1 || c0 == c1) continue;
    const std::vector<int64_t> rows(input.kernels.begin() + k0, input.kernels.begin() + k1);
    std::vector<int64_t> columns(input.channels.begin() + c0, input.channels.begin() + c1);
    for (int64_t& column : columns) column -= group * in_width;
    dense.narrow(0, k0 - bundle.k0, k1 - k0)
        .narrow(1, c0 - bundle.c0, c1 - c0)
        .copy_(some_of(weight, rows, columns));
  }
  return dense;
}

}  // namespace

at::Tensor edge_scores(const Convolution& layer, const EdgeInput& input) {
  const Conv3d& op = layer.op();
  const at::Tensor weight = layer.weight().flatten(2);
  at::Tensor scores = at::zeros(
      {static_cast<int64_t>(input.kernels.size()), static_cast<int64_t>(input.channels.size())},
      weight.options());
  for (const Bundle& b : bundles(op, input)) {
    const at::Tensor part = bundle_weight(op, weight, input, b);
    const at::Tensor g = input.gradient.narrow(3, b.k0, b.k1 - b.k0);
    const at::Tensor x = input.entering.narrow(3, b.c0, b.c1 - b.c0);
    scores.narrow(0, b.k0, b.k1 - b.k0)
        .narrow(1, b.c0, b.c1 - b.c0)
        .copy_(bundle_scores(op, part, g, x));
  }
  return scores;
}

at::Tensor some_scores(const at::Tensor& all, const EdgeInput& input) {
  return some_of(all, input.kernels, input.channels);
}

std::vector<Edge> select_edges(const at::Tensor& scores, const EdgeInput& input,
                               double edge_threshold) {
  std::vector<Edge> edges;
  const at::Tensor host = scores.to(at::kCPU, at::kFloat).contiguous();
  const float* row = host.data_ptr<float>();
  for (const int64_t kernel : input.kernels) {
    const std::size_t n = input.channels.size();
    const float largest = n == 0 ? 0.0F : *std::max_element(row, row + n);
    const auto enough = static_cast<float>(edge_threshold * largest);
    for (std::size_t c = 0; c < n; ++c) {
      if (row[c] > 0 && row[c] >= enough) {
        edges.push_back({static_cast<std::uint32_t>(kernel),
                         static_cast<std::uint32_t>(input.channels[c]), row[c]});
      }
    }
    row += n;
  }
  return edges;
}

}  // namespace cfp
