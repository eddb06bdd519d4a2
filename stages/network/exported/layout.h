// Where the channels and positions of a node's value are in an exported tensor.
//
// A network's code views, permutes, splits and merges axes. None of that computes anything, so it
// only changes this description: every axis of the exported tensor is a list of parts, outermost
// first, and a part counts through batch, channels, T, H or W of a node in steps. Axes of size 1
// have no parts.
//
//   [B, C, T, H, W], C = 6, viewed as [B, 2, 3, T, H, W]:  {batch} {C 2 by 3} {C 3 by 1} {T} {H}
//   {W}
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "stages/network/graph.h"

namespace cfp {

enum class AxisKind : std::uint8_t { kBatch, kChannel, kTime, kHeight, kWidth };

/// @return kTime, kHeight, kWidth for 0, 1, 2
AxisKind position_axis(std::size_t axis);

/// `size` steps of `step` through one kind of axis.
struct AxisPart {
  AxisKind kind = AxisKind::kBatch;
  std::int64_t size = 1;
  std::int64_t step = 1;
  bool operator==(const AxisPart&) const = default;
};

using AxisParts = std::vector<AxisPart>;

/// The axes of an exported tensor, first to last.
using Layout = std::vector<AxisParts>;

std::int64_t axis_size(const AxisParts& axis);
std::vector<std::int64_t> sizes(const Layout& layout);

/// @return one whole axis of that size; no parts where the size is 1
AxisParts whole_axis(AxisKind kind, std::int64_t size);

/// @return whether the axis is one whole axis of a node, or has size 1
bool is_whole(const AxisParts& axis, AxisKind kind, std::int64_t size);

/// @return whether the axis counts through channels only
bool is_channels(const AxisParts& axis);

/// Views a layout under other sizes.
/// @param sizes positive, their product that of the layout's
/// @return nothing where an axis would have to be cut at no multiple
std::optional<Layout> viewed(const Layout& layout, const std::vector<std::int64_t>& sizes);

/// The channels of the node in the order in which the layout counts through them.
/// @param only  which positions of axis `axis` are left, in order; -1: all of all axes
std::vector<int> channel_order(const Layout& layout, int axis = -1,
                               const std::vector<std::int64_t>& only = {});

/// The layout with its channels counted in order, as after a selection by channel_order().
Layout with_ordered_channels(Layout layout);

/// Which position of an axis each channel of the node stands at.
std::vector<std::int64_t> position_of_channel(const Layout& layout, std::size_t axis,
                                              std::int64_t channels);

}  // namespace cfp
