#include "stages/pyramid/edges.h"

#include <algorithm>
#include <array>
#include <optional>

#include <ATen/TensorOperators.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/index.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/zeros.h>

#include "stages/network/taps.h"
#include "stages/network/tensor_kernels.h"
#include "stages/pyramid/edge_scores_cpu.h"

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
        const std::array ranges{tap_range(op, 0, kt, entering.size(0)),
                                tap_range(op, 1, kh, entering.size(1)),
                                tap_range(op, 2, kw, entering.size(2))};
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

/// Positions [first, last) in an ascending list whose values lie in [low, high).
std::pair<int64_t, int64_t> positions_between(const std::vector<int64_t>& list, int64_t low,
                                              int64_t high) {
  return {std::ranges::lower_bound(list, low) - list.begin(),
          std::ranges::lower_bound(list, high) - list.begin()};
}

/// Weights of a bundle's kernels over its channels: [kernels, channels, taps].
at::Tensor bundle_weight(const Conv3d& op, const at::Tensor& weight, const EdgeInput& input,
                         const EdgeBundle& bundle) {
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

std::vector<EdgeBundle> bundle_groups(const Conv3d& op, const EdgeInput& input, int64_t kernels,
                                      int64_t channels) {
  const int64_t out_width = op.out_channels / op.groups;
  const int64_t in_width = op.in_channels / op.groups;
  std::vector<EdgeBundle> result;
  EdgeBundle open;
  for (int64_t group = 1; group <= op.groups; ++group) {
    open.end_group = group;
    open.k1 = positions_between(input.kernels, 0, group * out_width).second;
    open.c1 = positions_between(input.channels, 0, group * in_width).second;
    const bool enough = open.k1 - open.k0 >= kernels || open.c1 - open.c0 >= channels;
    if (!enough && group < op.groups) continue;
    if (open.k1 > open.k0 && open.c1 > open.c0) result.push_back(open);
    open = {group, group, open.k1, open.k1, open.c1, open.c1};
  }
  return result;
}

at::Tensor edge_scores(const Convolution& layer, const EdgeInput& input) {
  if (cpu::takes_edges(layer, input)) return cpu::edge_scores(layer, input);
  constexpr int64_t kWide = 64;  // enough for a product to run at full speed
  const Conv3d& op = layer.op();
  const at::Tensor weight = layer.weight().flatten(2);
  at::Tensor entering = gather_channels(input.entering, 0, input.channels);
  if (input.positive) entering = entering.clamp_min(0);
  at::Tensor scores = at::zeros(
      {static_cast<int64_t>(input.kernels.size()), static_cast<int64_t>(input.channels.size())},
      weight.options());
  for (const EdgeBundle& b : bundle_groups(op, input, kWide, kWide)) {
    const at::Tensor part = bundle_weight(op, weight, input, b);
    const at::Tensor g = input.gradient.narrow(3, b.k0, b.k1 - b.k0);
    const at::Tensor x = entering.narrow(3, b.c0, b.c1 - b.c0);
    scores.narrow(0, b.k0, b.k1 - b.k0)
        .narrow(1, b.c0, b.c1 - b.c0)
        .copy_(dense_scores(op, part, g, x));
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

std::vector<Edge> all_edges(const Conv3d& op, const at::Tensor& scores, const EdgeInput& input) {
  std::vector<Edge> edges;
  const at::Tensor host = scores.to(at::kCPU, at::kFloat).contiguous();
  const float* row = host.data_ptr<float>();
  const int64_t out_width = op.out_channels / op.groups, in_width = op.in_channels / op.groups;
  for (const int64_t kernel : input.kernels) {
    for (std::size_t c = 0; c < input.channels.size(); ++c) {
      if (input.channels[c] / in_width != kernel / out_width) continue;
      edges.push_back({static_cast<std::uint32_t>(kernel),
                       static_cast<std::uint32_t>(input.channels[c]), row[c]});
    }
    row += input.channels.size();
  }
  return edges;
}

}  // namespace cfp
