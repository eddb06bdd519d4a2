#include "stages/network/tensor_moves.h"

#include <array>

#include <ATen/TensorOperators.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/tensor.h>

namespace cfp {
namespace {

constexpr auto kLayout = at::MemoryFormat::ChannelsLast3d;

at::Tensor take(const at::Tensor& x, std::int64_t dim, const std::vector<int>& source) {
  const at::Tensor indices = at::tensor(source, at::kLong).to(x.device());
  return x.index_select(dim, indices).contiguous(kLayout);
}

/// Every slice of g is added to where take() took it from.
at::Tensor put_back(const at::Tensor& g, const at::Tensor& x, std::int64_t dim,
                    const std::vector<int>& source) {
  const at::Tensor indices = at::tensor(source, at::kLong).to(g.device());
  at::Tensor result = at::empty(x.sizes(), g.options(), kLayout).zero_();
  return result.index_add_(dim, indices, g);
}

/// Every step-th position of all three axes.
at::Tensor strided(const at::Tensor& x, const Triple& step) {
  at::Tensor part = x;
  for (int axis = 0; axis < 3; ++axis) {
    part = part.slice(axis + 2, std::nullopt, std::nullopt, step[static_cast<std::size_t>(axis)]);
  }
  return part;
}

}  // namespace

at::Tensor select_channels(const at::Tensor& x, const SelectChannels& op) {
  return take(x, 1, op.source);
}

at::Tensor select_positions(const at::Tensor& x, const SelectPositions& op) {
  return take(x, op.axis + 2, op.source);
}

at::Tensor pad(const at::Tensor& x, const Pad& op) {
  const Padding& p = op.padding;
  const std::array<std::int64_t, 6> sizes{p.before[2], p.after[2],  p.before[1],
                                          p.after[1],  p.before[0], p.after[0]};
  return at::constant_pad_nd(x, sizes, 0).contiguous(kLayout);
}

at::Tensor spread(const at::Tensor& x, const Spread& op) {
  std::vector<std::int64_t> sizes = x.sizes().vec();
  for (std::size_t axis = 0; axis < 3; ++axis) {
    sizes[axis + 2] = (sizes[axis + 2] - 1) * op.step[axis] + 1;
  }
  at::Tensor result = at::empty(sizes, x.options(), kLayout).zero_();
  strided(result, op.step).copy_(x);
  return result;
}

at::Tensor select_channels_gradient(const at::Tensor& g, const at::Tensor& x,
                                    const SelectChannels& op) {
  return put_back(g, x, 1, op.source);
}

at::Tensor select_positions_gradient(const at::Tensor& g, const at::Tensor& x,
                                     const SelectPositions& op) {
  return put_back(g, x, op.axis + 2, op.source);
}

at::Tensor pad_gradient(const at::Tensor& g, const at::Tensor& x, const Pad& op) {
  at::Tensor part = g;
  for (std::int64_t axis = 0; axis < 3; ++axis) {
    part =
        part.narrow(axis + 2, op.padding.before[static_cast<std::size_t>(axis)], x.size(axis + 2));
  }
  return part.contiguous(kLayout);
}

at::Tensor spread_gradient(const at::Tensor& g, const Spread& op) {
  return strided(g, op.step).contiguous(kLayout);
}

}  // namespace cfp
