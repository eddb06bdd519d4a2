// Which positions the taps of a window meet. A window `W` is a Window or a Conv3d.
#pragma once

#include <algorithm>
#include <cstdint>

namespace cfp {

/// Along one axis, what one tap meets: the output positions [begin, end) at which it lies inside
/// the input, and the input position that it meets at the first of them.
struct TapRange {
  std::int64_t begin, end, first;
  std::int64_t count() const { return end - begin; }
};

/// @param size input positions along the axis
/// @return     output positions along the axis
template <class W>
std::int64_t output_positions(const W& op, int axis, std::int64_t size) {
  const std::int64_t span = std::int64_t{1} * op.dilation[axis] * (op.kernel[axis] - 1) + 1;
  return (size + op.padding.before[axis] + op.padding.after[axis] - span) / op.stride[axis] + 1;
}

/// @param tap  0..op.kernel[axis] - 1
/// @param size input positions along the axis
template <class W>
TapRange tap_range(const W& op, int axis, std::int64_t tap, std::int64_t size) {
  const std::int64_t stride = op.stride[axis];
  const std::int64_t offset = tap * op.dilation[axis] - op.padding.before[axis];
  const std::int64_t begin = offset >= 0 ? 0 : (-offset + stride - 1) / stride;
  const std::int64_t reach = size - 1 < offset ? 0 : (size - 1 - offset) / stride + 1;
  const std::int64_t end = std::min(reach, output_positions(op, axis, size));
  return {begin, std::max(begin, end), begin * stride + offset};
}

}  // namespace cfp
