#include "stages/pyramid/edges.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/convolution_backward.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <array>

namespace cfp {
namespace {

using std::int64_t;

at::Tensor index_tensor(const std::vector<int64_t>& indices, const at::Device& device) {
  return at::from_blob(const_cast<int64_t*>(indices.data()),
                       {static_cast<int64_t>(indices.size())}, at::TensorOptions(at::kLong))
      .to(device, at::kLong, /*non_blocking=*/false, /*copy=*/true);
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

/// Scores of kernels and channels that all see one another. `weight` is [kernels, channels, taps].
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
        const at::Tensor products = at::mm(rows_of_output(gradient, ranges).t(),
                                           rows_of_tap(entering, ranges, op.stride));
        scores.addcmul_(products, weight.select(2, tap));
      }
    }
  }
  return scores;
}

/// The same for few input channels and many taps (a stem), where one product a tap would be thin:
/// the framework's gradient of the weights, taken for the kernels asked for.
at::Tensor stem_scores(const Conv3d& op, const at::Tensor& weight, const at::Tensor& gradient,
                       const at::Tensor& entering) {
  // Kernel counts are rounded up so that few shapes are met: LibTorch compiles a kernel for each.
  const int64_t kernels = gradient.size(3);
  const int64_t rounded = (kernels + 15) / 16 * 16;
  const auto as_ncthw = [](const at::Tensor& rows) {
    return rows.permute({3, 0, 1, 2}).unsqueeze(0);
  };
  const auto& pad = op.padding;
  at::Tensor x = as_ncthw(entering);
  if (!(pad == Padding{})) {
    const std::array<int64_t, 6> sizes{pad.before[2], pad.after[2],  pad.before[1],
                                       pad.after[1],  pad.before[0], pad.after[0]};
    x = at::constant_pad_nd(x, sizes, 0);
  }
  const at::Tensor g = at::constant_pad_nd(gradient, std::array<int64_t, 2>{0, rounded - kernels});
  const at::Tensor shape_of_weight =
      at::empty({rounded, entering.size(3), op.kernel[0], op.kernel[1], op.kernel[2]},
                weight.options());
  const std::array<int64_t, 3> stride{op.stride[0], op.stride[1], op.stride[2]};
  const std::array<int64_t, 3> dilation{op.dilation[0], op.dilation[1], op.dilation[2]};
  const std::array<int64_t, 3> zero{0, 0, 0};
  // Rows beyond the last window are no input of any position.
  for (int axis = 0; axis < 3; ++axis) {
    const int64_t used = (gradient.size(axis) - 1) * stride[static_cast<std::size_t>(axis)] +
                         dilation[static_cast<std::size_t>(axis)] * (op.kernel[axis] - 1) + 1;
    x = x.narrow(axis + 2, 0, used);
  }
  const at::Tensor products = std::get<1>(at::convolution_backward(
      as_ncthw(g).contiguous(), x.contiguous(), shape_of_weight, std::nullopt, stride, zero,
      dilation, false, zero, 1, {false, true, false}));
  return (products.narrow(0, 0, kernels).flatten(2) * weight).sum(2);
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
  at::Tensor dense = at::zeros({bundle.k1 - bundle.k0, bundle.c1 - bundle.c0, weight.size(2)},
                               weight.options());
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
        .copy_(weight.index_select(0, index_tensor(rows, weight.device()))
                   .index_select(1, index_tensor(columns, weight.device())));
  }
  return dense;
}

}  // namespace

at::Tensor gather_channels(const at::Tensor& tensor, int64_t clip,
                           const std::vector<int64_t>& channels) {
  const at::Tensor rows = tensor[clip].permute({1, 2, 3, 0});
  if (static_cast<int64_t>(channels.size()) == rows.size(3)) return rows.contiguous();
  return rows.index_select(3, index_tensor(channels, tensor.device())).contiguous();
}

at::Tensor edge_scores(const Convolution& layer, const EdgeInput& input) {
  const Conv3d& op = layer.op();
  const at::Tensor weight = layer.weight().flatten(2);
  at::Tensor scores = at::zeros({static_cast<int64_t>(input.kernels.size()),
                                 static_cast<int64_t>(input.channels.size())},
                                weight.options());
  for (const Bundle& b : bundles(op, input)) {
    const at::Tensor part = bundle_weight(op, weight, input, b);
    const at::Tensor g = input.gradient.narrow(3, b.k0, b.k1 - b.k0);
    const at::Tensor x = input.entering.narrow(3, b.c0, b.c1 - b.c0);
    const bool thin = op.in_channels <= 4 && part.size(2) > 27;
    scores.narrow(0, b.k0, b.k1 - b.k0)
        .narrow(1, b.c0, b.c1 - b.c0)
        .copy_(thin ? stem_scores(op, part, g, x) : dense_scores(op, part, g, x));
  }
  return scores;
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
