#include "stages/network/exported/layout.h"

#include <algorithm>
#include <numeric>

namespace cfp {
namespace {

/// Neighbouring parts that count through one axis without a gap are one.
AxisParts joined(const AxisParts& parts) {
  AxisParts result;
  for (const AxisPart& part : parts) {
    if (part.size == 1) continue;
    if (!result.empty() && result.back().kind == part.kind &&
        result.back().step == part.size * part.step) {
      result.back().size *= part.size;
      result.back().step = part.step;
    } else {
      result.push_back(part);
    }
  }
  return result;
}

/// Adds to every number so far each of an axis's, the axis counting fastest.
std::vector<std::int64_t> combined(const std::vector<std::int64_t>& so_far,
                                   const std::vector<std::int64_t>& axis) {
  std::vector<std::int64_t> result;
  result.reserve(so_far.size() * axis.size());
  for (const std::int64_t outer : so_far) {
    for (const std::int64_t inner : axis) result.push_back(outer + inner);
  }
  return result;
}

/// What channel each position of an axis adds; one 0 for an axis without channels.
std::vector<std::int64_t> channel_offsets(const AxisParts& axis) {
  std::vector<std::int64_t> offsets{0};
  for (const AxisPart& part : axis) {
    if (part.kind != AxisKind::kChannel) continue;
    std::vector<std::int64_t> steps;
    for (std::int64_t i = 0; i < part.size; ++i) steps.push_back(i * part.step);
    offsets = combined(offsets, steps);
  }
  return offsets;
}

}  // namespace

AxisKind position_axis(std::size_t axis) {
  return static_cast<AxisKind>(static_cast<std::size_t>(AxisKind::kTime) + axis);
}

std::int64_t axis_size(const AxisParts& axis) {
  std::int64_t size = 1;
  for (const AxisPart& part : axis) size *= part.size;
  return size;
}

std::vector<std::int64_t> sizes(const Layout& layout) {
  std::vector<std::int64_t> result;
  for (const AxisParts& axis : layout) result.push_back(axis_size(axis));
  return result;
}

AxisParts whole_axis(AxisKind kind, std::int64_t size) {
  return size == 1 ? AxisParts{} : AxisParts{{kind, size, 1}};
}

bool is_whole(const AxisParts& axis, AxisKind kind, std::int64_t size) {
  return axis.empty() || axis == whole_axis(kind, size);
}

bool is_channels(const AxisParts& axis) {
  return std::ranges::all_of(axis, [](const AxisPart& p) { return p.kind == AxisKind::kChannel; });
}

std::optional<Layout> viewed(const Layout& layout, const std::vector<std::int64_t>& sizes) {
  AxisParts all;
  for (const AxisParts& axis : layout) all.insert(all.end(), axis.begin(), axis.end());
  all = joined(all);
  Layout result;
  std::size_t next = 0;
  for (const std::int64_t size : sizes) {
    AxisParts axis;
    std::int64_t missing = size;
    while (missing > 1) {
      if (next == all.size()) return std::nullopt;
      AxisPart& part = all[next];
      if (missing % part.size == 0) {
        axis.push_back(part);
        missing /= part.size;
        ++next;
      } else if (part.size % missing == 0) {
        const std::int64_t inner = part.size / missing;
        axis.push_back({part.kind, missing, part.step * inner});
        part.size = inner;
        missing = 1;
      } else {
        return std::nullopt;
      }
    }
    result.push_back(joined(axis));
  }
  return next == all.size() ? std::optional(result) : std::nullopt;
}

std::vector<int> channel_order(const Layout& layout, int axis,
                               const std::vector<std::int64_t>& only) {
  std::vector<std::int64_t> order{0};
  for (std::size_t i = 0; i < layout.size(); ++i) {
    const std::vector<std::int64_t> all = channel_offsets(layout[i]);
    if (static_cast<int>(i) != axis) {
      order = combined(order, all);
      continue;
    }
    std::vector<std::int64_t> left;
    for (const std::int64_t position : only) {
      left.push_back(all.at(static_cast<std::size_t>(position)));
    }
    order = combined(order, left);
  }
  return {order.begin(), order.end()};
}

Layout with_ordered_channels(Layout layout) {
  std::int64_t step = 1;
  for (auto axis = layout.rbegin(); axis != layout.rend(); ++axis) {
    for (auto part = axis->rbegin(); part != axis->rend(); ++part) {
      if (part->kind != AxisKind::kChannel) continue;
      part->step = step;
      step *= part->size;
    }
    *axis = joined(*axis);
  }
  return layout;
}

std::vector<std::int64_t> position_of_channel(const Layout& layout, std::size_t axis,
                                              std::int64_t channels) {
  std::vector<std::int64_t> result(static_cast<std::size_t>(channels), 0);
  const std::vector<std::int64_t> offsets = channel_offsets(layout.at(axis));
  Layout others = layout;
  others.at(axis).clear();
  const std::vector<int> rest = channel_order(others);
  for (std::size_t i = 0; i < offsets.size(); ++i) {
    for (const int other : rest) {
      result.at(static_cast<std::size_t>(offsets[i] + other)) = static_cast<std::int64_t>(i);
    }
  }
  return result;
}

}  // namespace cfp
