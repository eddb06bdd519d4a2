// Calls that take some of the values, or all of them several times, or put zeros around them.
#include <algorithm>
#include <cmath>
#include <stdexcept>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "stages/network/exported/importer.h"

namespace cfp {
namespace {

constexpr std::int64_t kLongestAxis = 1 << 16;

std::vector<std::int64_t> counted(std::int64_t begin, std::int64_t count, std::int64_t step) {
  if (count > kLongestAxis) throw std::invalid_argument(fmt::format("{} positions", count));
  std::vector<std::int64_t> positions;
  for (std::int64_t i = 0; i < count; ++i) positions.push_back(begin + i * step);
  return positions;
}

bool is_everything(const std::vector<std::int64_t>& positions, std::int64_t size) {
  return static_cast<std::int64_t>(positions.size()) == size && positions == counted(0, size, 1);
}

}  // namespace

Importer::Value Importer::taken(const Call& call, const Value& x, std::size_t axis,
                                const Sizes& positions) {
  if (positions.empty() || positions.size() > kLongestAxis) {
    refuse(call, fmt::format("takes {} positions of an axis", positions.size()));
  }
  const auto* a = std::get_if<Activation>(&x);
  const std::int64_t size =
      a != nullptr ? axis_size(a->layout[axis]) : std::get<ConstantTensor>(x).shape[axis];
  const auto [least, most] = std::ranges::minmax(positions);
  if (least < 0 || most >= size) {
    refuse(call, fmt::format("takes positions {} to {} of an axis of {}", least, most, size));
  }
  if (is_everything(positions, size)) return x;
  if (a == nullptr) {
    const auto result = constant_selected(std::get<ConstantTensor>(x), axis, positions);
    if (!result) refuse(call, "an empty or too large constant");
    return *result;
  }
  Activation result = *a;
  if (const auto position = position_axis_of(*a, axis)) {
    SelectPositions op{.axis = static_cast<int>(*position)};
    op.source.assign(positions.begin(), positions.end());
    result.node = add(call, std::move(op), {a->node});
    result.layout[axis] =
        whole_axis(position_axis(*position), static_cast<std::int64_t>(positions.size()));
    return result;
  }
  if (!is_channels(a->layout[axis]) || a->layout[axis].empty()) {
    refuse(call, "takes a part of an axis that is neither channels nor T, H or W alone");
  }
  SelectChannels op{channel_order(a->layout, static_cast<int>(axis), positions)};
  result.layout[axis] = {{AxisKind::kChannel, static_cast<std::int64_t>(positions.size()), 1}};
  result.layout = with_ordered_channels(std::move(result.layout));
  result.node = add(call, std::move(op), {a->node});
  return result;
}

void Importer::slice(const Call& call) {
  const Value x = operand(call, "self");
  const auto* a = std::get_if<Activation>(&x);
  const Sizes from = a != nullptr ? sizes(a->layout) : std::get<ConstantTensor>(x).shape;
  const std::size_t at = axis(call, integer(call, "dim", 0), from.size());
  const auto bound = [&](std::string_view name, std::int64_t otherwise) {
    std::int64_t given = integer(call, name, otherwise);
    if (given < 0) given = given < -from[at] ? 0 : given + from[at];
    return std::min(given, from[at]);
  };
  const std::int64_t begin = bound("start", 0);
  const std::int64_t end = has(call, "length")
                               ? begin + std::min(integer(call, "length", 0), from[at])
                               : bound("end", from[at]);
  const std::int64_t step = integer(call, "step", 1);
  if (step < 1 || begin >= end || end > from[at]) refuse(call, "an empty slice");
  if (begin == 0 && end == from[at] && step == 1) {
    give(call, x, alias(call));
    return;
  }
  give(call, taken(call, x, at, counted(begin, (end - begin - 1) / step + 1, step)), alias(call));
}

void Importer::select(const Call& call) {
  const Value x = operand(call, "self");
  const auto* a = std::get_if<Activation>(&x);
  Sizes from = a != nullptr ? sizes(a->layout) : std::get<ConstantTensor>(x).shape;
  const std::size_t at = axis(call, integer(call, "dim", 0), from.size());
  std::int64_t index = integer(call, "index", 0);
  if (index < 0) index += from[at];
  const Value one = taken(call, x, at, {index});
  from.erase(from.begin() + static_cast<std::ptrdiff_t>(at));
  give(call, reshaped(call, one, std::move(from)), alias(call));
}

namespace {

std::vector<std::int64_t> as_positions(const ConstantTensor& constant, std::int64_t size) {
  std::vector<std::int64_t> positions;
  for (std::int64_t i = 0; i < constant.elements(); ++i) {
    const auto value = static_cast<double>(constant.data.get()[i]);
    const auto whole = std::isfinite(value) && std::abs(value) < 1e9
                           ? static_cast<std::int64_t>(value)
                           : std::int64_t{-1};
    positions.push_back(whole < 0 ? whole + size : whole);
  }
  return positions;
}

}  // namespace

void Importer::index_select(const Call& call) {
  const Value x = operand(call, "self");
  const auto* a = std::get_if<Activation>(&x);
  const Sizes from = a != nullptr ? sizes(a->layout) : std::get<ConstantTensor>(x).shape;
  const std::size_t at = axis(call, integer(call, "dim", 0), from.size());
  const ConstantTensor* positions = constant(call, "index");
  if (positions == nullptr || positions->elements() > kLongestAxis)
    refuse(call, "its index is none");
  give(call, taken(call, x, at, as_positions(*positions, from[at])));
}

/// x[:, :, i]: at most one axis has an index, and that of one axis.
void Importer::index(const Call& call) {
  const Value x = operand(call, "self");
  const Argument* given = argument(call, "indices");
  const auto* names = given == nullptr ? nullptr : std::get_if<std::vector<TensorName>>(given);
  if (names == nullptr) refuse(call, "its indices are none");
  const auto* a = std::get_if<Activation>(&x);
  const Sizes from = a != nullptr ? sizes(a->layout) : std::get<ConstantTensor>(x).shape;
  std::optional<std::size_t> at;
  for (std::size_t i = 0; i < names->size(); ++i) {
    if ((*names)[i].name.empty()) continue;
    if (at || i >= from.size()) refuse(call, "indices of more than one axis are not supported");
    at = i;
  }
  if (!at) refuse(call, "its indices are none");
  const auto* positions = std::get_if<ConstantTensor>(&value(call, (*names)[*at].name));
  if (positions == nullptr || positions->shape.size() != 1 ||
      positions->elements() > kLongestAxis) {
    refuse(call, "its index is no constant list of positions");
  }
  give(call, taken(call, x, *at, as_positions(*positions, from[*at])));
}

void Importer::flip(const Call& call) {
  Value x = operand(call, "self");
  const auto rank = [&] {
    const auto* a = std::get_if<Activation>(&x);
    return a != nullptr ? a->layout.size() : std::get<ConstantTensor>(x).shape.size();
  }();
  for (const std::size_t i : axes(call, "dims", rank)) {
    const auto* a = std::get_if<Activation>(&x);
    const std::int64_t size =
        a != nullptr ? axis_size(a->layout[i]) : std::get<ConstantTensor>(x).shape[i];
    if (size > kLongestAxis) refuse(call, "its axis is too long");
    x = taken(call, x, i, counted(size - 1, size, -1));
  }
  give(call, std::move(x));
}

/// chunk, split, split_with_sizes, tensor_split into equal parts.
void Importer::split(const Call& call) {
  const Value x = operand(call, "self");
  const auto* a = std::get_if<Activation>(&x);
  const Sizes from = a != nullptr ? sizes(a->layout) : std::get<ConstantTensor>(x).shape;
  const std::size_t at = axis(call, integer(call, "dim", 0), from.size());
  Sizes parts = integers(call, has(call, "split_sizes") ? "split_sizes" : "split_size", {});
  if (has(call, "chunks")) {
    const std::int64_t chunks = integer(call, "chunks", 1);
    if (chunks < 1) refuse(call, fmt::format("{} chunks", chunks));
    parts = {(from[at] + chunks - 1) / chunks};
  }
  if (parts.size() == 1 && call.results.size() != 1) {
    const std::int64_t each = parts[0];
    if (each < 1 || from[at] / each > kLongestAxis) refuse(call, "empty or too many parts");
    parts.clear();
    for (std::int64_t done = 0; done < from[at]; done += each) {
      parts.push_back(std::min(each, from[at] - done));
    }
  }
  if (parts.size() != call.results.size()) {
    refuse(call, fmt::format("gives {} results, but the axis has {} parts", call.results.size(),
                             parts.size()));
  }
  std::int64_t begin = 0;
  const std::string shared = alias(call);
  for (std::size_t i = 0; i < parts.size(); ++i) {
    Call part = call;
    part.results = {call.results[i]};
    part.name = call.results[i];
    if (parts[i] < 1 || parts[i] > from[at]) refuse(call, "an empty or too long part");
    give(part, taken(part, x, at, counted(begin, parts[i], 1)), shared);
    begin += parts[i];
  }
}

void Importer::unbind(const Call& call) {
  const Value x = operand(call, "self");
  const auto* a = std::get_if<Activation>(&x);
  Sizes from = a != nullptr ? sizes(a->layout) : std::get<ConstantTensor>(x).shape;
  const std::size_t at = axis(call, integer(call, "dim", 0), from.size());
  if (static_cast<std::int64_t>(call.results.size()) != from[at]) {
    refuse(call, fmt::format("gives {} results of an axis of {}", call.results.size(), from[at]));
  }
  from.erase(from.begin() + static_cast<std::ptrdiff_t>(at));
  for (std::size_t i = 0; i < call.results.size(); ++i) {
    Call part = call;
    part.results = {call.results[i]};
    part.name = call.results[i];
    const Value one = taken(part, x, at, {static_cast<std::int64_t>(i)});
    give(part, reshaped(part, one, from), alias(call));
  }
}

/// Repeats axes of size 1; each has to be one of T, H, W or the channels by its place.
Activation Importer::expanded_to(const Call& call, Activation a, const Sizes& wanted) {
  if (wanted.size() < a.layout.size()) refuse(call, "expands to fewer axes");
  a.layout.insert(a.layout.begin(), wanted.size() - a.layout.size(), AxisParts{});
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    const std::int64_t size = axis_size(a.layout[i]);
    if (wanted[i] == -1 || wanted[i] == size) continue;
    if (size != 1 || wanted[i] < 1 || wanted[i] > kLongestAxis) {
      refuse(call, fmt::format("expands {} to {}", fmt::join(sizes(a.layout), "x"),
                               fmt::join(wanted, "x")));
    }
    const std::vector<int> zeros(static_cast<std::size_t>(wanted[i]), 0);
    if (i == 1 && shape(a.node).channels == 1) {
      a.node = add(call, SelectChannels{zeros}, {a.node});
      a.layout[i] = whole_axis(AxisKind::kChannel, wanted[i]);
    } else if (wanted.size() == 5 && i >= 2 && shape(a.node).size[i - 2] == 1) {
      a.node = add(call, SelectPositions{static_cast<int>(i) - 2, zeros}, {a.node});
      a.layout[i] = whole_axis(position_axis(i - 2), wanted[i]);
    } else {
      refuse(call, fmt::format("expands axis {} of {}, which is neither channels nor T, H, W", i,
                               fmt::join(sizes(a.layout), "x")));
    }
  }
  return a;
}

void Importer::expand(const Call& call) {
  const Value x = operand(call, "self");
  Sizes wanted = integers(call, "size", {});
  if (has(call, "other")) wanted = sizes(activation(call, "other").layout);
  if (const auto* c = std::get_if<ConstantTensor>(&x)) {
    const auto result = constant_expanded(*c, wanted);
    if (!result) refuse(call, "an empty, too large or wrong shape");
    give(call, *result);
    return;
  }
  give(call, expanded_to(call, activation(call, "self"), wanted));
}

void Importer::pad(const Call& call) {
  Activation x = activation(call, "self");
  const Sizes amounts = integers(call, "pad", {});
  if (word(call, "mode", "constant") != "constant" || number(call, "value", 0) != 0) {
    refuse(call, "padding by anything but zeros is not supported");
  }
  if (amounts.size() % 2 != 0 || amounts.size() / 2 > x.layout.size()) {
    refuse(call, "its amounts do not fit its axes");
  }
  for (std::size_t i = 0; i < amounts.size(); i += 2) {  // crops first
    const std::size_t at = x.layout.size() - 1 - i / 2;
    const std::int64_t size = axis_size(x.layout[at]);
    const std::int64_t cut_before = std::max<std::int64_t>(-amounts[i], 0);
    const std::int64_t cut_after = std::max<std::int64_t>(-amounts[i + 1], 0);
    if (std::max(cut_before, cut_after) >= size || cut_before + cut_after >= size) {
      if (cut_before + cut_after > 0) refuse(call, "crops everything");
      continue;
    }
    if (size > kLongestAxis && cut_before + cut_after > 0) refuse(call, "its axis is too long");
    if (cut_before + cut_after == 0) continue;
    x = std::get<Activation>(
        taken(call, x, at, counted(cut_before, size - cut_before - cut_after, 1)));
  }
  if (std::ranges::all_of(amounts, [](std::int64_t n) { return n <= 0; })) {
    give(call, std::move(x));
    return;
  }
  if (x.layout.size() < 3) refuse(call, "pads axes that are not T, H, W");
  Pad op;
  const std::vector<std::size_t> window = window_axes(call, x, x.layout.size() - 2);
  for (std::size_t i = 0; i < amounts.size(); i += 2) {
    const std::int64_t before = std::max<std::int64_t>(amounts[i], 0);
    const std::int64_t after = std::max<std::int64_t>(amounts[i + 1], 0);
    if (before == 0 && after == 0) continue;
    const std::size_t at = x.layout.size() - 1 - i / 2;
    if (at < 2 || before > kLongestAxis || after > kLongestAxis) {
      refuse(call, "pads axes that are not T, H, W, or too far");
    }
    op.padding.before[window[at - 2]] = static_cast<int>(before);
    op.padding.after[window[at - 2]] = static_cast<int>(after);
  }
  const NodeId id = add(call, op, {x.node});
  give_node(call, id, resized(x, window, id));
}

/// Enlargement by repetition: position i is position floor(i * size / new size).
void Importer::upsample(const Call& call) {
  Activation x = activation(call, has(call, "input") ? "input" : "self");
  if (x.layout.size() < 3) refuse(call, "of fewer than three axes");
  const std::size_t rank = x.layout.size() - 2;
  const std::vector<std::size_t> window = window_axes(call, x, rank);
  Sizes wanted = integers(call, has(call, "output_size") ? "output_size" : "size", {});
  const Argument* factors = argument(call, "scale_factors");
  if (wanted.empty() && factors != nullptr &&
      std::holds_alternative<std::vector<double>>(*factors)) {
    const auto& list = std::get<std::vector<double>>(*factors);
    for (std::size_t i = 0; i < std::min(rank, list.size()); ++i) {
      const double size = std::floor(shape(x.node).size[window[i]] * list[i]);
      wanted.push_back(size >= 1 && size <= kLongestAxis ? static_cast<std::int64_t>(size) : 0);
    }
  }
  if (wanted.size() != rank) refuse(call, "its size is not given");
  for (std::size_t i = 0; i < rank; ++i) {
    const std::int64_t size = shape(x.node).size[window[i]];
    if (wanted[i] == size) continue;
    if (wanted[i] < 1 || wanted[i] > kLongestAxis) refuse(call, "its size is empty or too long");
    SelectPositions op{.axis = static_cast<int>(window[i])};
    for (std::int64_t p = 0; p < wanted[i]; ++p) {
      op.source.push_back(static_cast<int>(p * size / wanted[i]));
    }
    x.node = add(call, std::move(op), {x.node});
    x.layout[i + 2] = whole_axis(position_axis(window[i]), wanted[i]);
  }
  give(call, std::move(x));
}

}  // namespace cfp
