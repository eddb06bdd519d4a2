// Calls that see the same values under other axes, and those that change nothing.
#include <algorithm>
#include <cmath>
#include <numeric>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "stages/network/exported/importer.h"

namespace cfp {
void Importer::same(const Call& call) {
  for (const char* name : {"self", "input"}) {
    const Argument* given = argument(call, name);
    const auto* tensor = given == nullptr ? nullptr : std::get_if<TensorName>(given);
    if (tensor == nullptr) continue;
    if (boolean(call, "train", false))
      refuse(call, "in training mode; call eval() before the export");
    Value result = value(call, tensor->name);
    // A conversion to integers cuts off what is behind the point.
    const std::int64_t type = integer(call, "dtype", 7);
    if (auto* constant = std::get_if<ConstantTensor>(&result); constant != nullptr && type <= 5) {
      const auto cut =
          constant_combined(*constant, *constant, [](double a, double) { return std::trunc(a); });
      if (!cut) refuse(call, "an empty or too large constant");
      result = *cut;
    }
    give(call, std::move(result), tensor->name);
    return;
  }
  refuse(call, "it has no tensor to pass on");
}

void Importer::nothing(const Call&) {}

void Importer::softmax(const Call& call) {
  Activation x = activation(call, "self");
  const std::size_t over = axis(call, integer(call, "dim", 1), x.layout.size());
  if (!is_channels(x.layout[over]) || axis_size(x.layout[over]) != shape(x.node).channels) {
    refuse(call, "a softmax over anything but the classes is not supported");
  }
  x.softmax = call.name;
  give(call, std::move(x));
}

/// The tensor whose memory the result shares.
std::string Importer::alias(const Call& call) const {
  const auto* tensor = std::get_if<TensorName>(argument(call, "self"));
  return tensor == nullptr ? std::string() : tensor->name;
}

// ---- other views of the same values ------------------------------------------------------------

Importer::Value Importer::reshaped(const Call& call, const Value& x, Sizes wanted) const {
  const auto* a = std::get_if<Activation>(&x);
  const auto* c = std::get_if<ConstantTensor>(&x);
  const Sizes from = a != nullptr ? sizes(a->layout) : c->shape;
  const auto product = [](const Sizes& s) {
    std::int64_t n = 1;
    for (const std::int64_t size : s) {
      if (size < 1 || __builtin_mul_overflow(n, size, &n)) return std::int64_t{0};
    }
    return n;
  };
  const std::int64_t elements = product(from);
  if (const auto open = std::ranges::find(wanted, -1); open != wanted.end()) {
    *open = 1;
    const std::int64_t rest = product(wanted);
    *open = rest == 0 ? 0 : elements / rest;
  }
  const auto fail = [&]() {
    refuse(call, fmt::format("a view of {} as {} is not supported", fmt::join(from, "x"),
                             fmt::join(wanted, "x")));
  };
  if (elements == 0 || product(wanted) != elements || wanted.size() > 16) fail();
  if (c != nullptr) {
    const auto result = constant_view(*c, wanted);
    if (!result) fail();
    return *result;
  }
  const auto layout = viewed(a->layout, wanted);
  if (!layout) fail();
  return Activation{a->node, *layout, a->softmax};
}

void Importer::view(const Call& call) {
  const char* key = has(call, "size") ? "size" : "shape";
  give(call, reshaped(call, operand(call, "self"), integers(call, key, {})), alias(call));
}

void Importer::flatten(const Call& call) {
  const Value x = operand(call, "self");
  const auto* a = std::get_if<Activation>(&x);
  const Sizes from = a != nullptr ? sizes(a->layout) : std::get<ConstantTensor>(x).shape;
  if (from.empty()) refuse(call, "of a single number");
  const std::size_t first = axis(call, integer(call, "start_dim", 0), from.size());
  const std::size_t last = axis(call, integer(call, "end_dim", -1), from.size());
  if (first > last) refuse(call, "its axes are in the wrong order");
  Sizes wanted(from.begin(), from.begin() + static_cast<std::ptrdiff_t>(first));
  wanted.push_back(1);
  for (std::size_t i = first; i <= last; ++i) wanted.back() *= from[i];
  wanted.insert(wanted.end(), from.begin() + static_cast<std::ptrdiff_t>(last) + 1, from.end());
  give(call, reshaped(call, x, std::move(wanted)), alias(call));
}

void Importer::unflatten(const Call& call) {
  const Activation x = activation(call, "self");
  Sizes wanted = sizes(x.layout);
  const std::size_t at = axis(call, integer(call, "dim", 0), wanted.size());
  Sizes inner = integers(call, "sizes", {});
  const std::int64_t whole = wanted[at];
  if (const auto open = std::ranges::find(inner, -1); open != inner.end()) {
    std::int64_t rest = 1;
    for (const std::int64_t size : inner)
      rest *= size == -1 ? 1 : std::clamp<std::int64_t>(size, 1, whole);
    *open = whole / std::max<std::int64_t>(rest, 1);
  }
  wanted.erase(wanted.begin() + static_cast<std::ptrdiff_t>(at));
  wanted.insert(wanted.begin() + static_cast<std::ptrdiff_t>(at), inner.begin(), inner.end());
  give(call, reshaped(call, x, std::move(wanted)), alias(call));
}

Importer::Value Importer::permuted(const Call& call, const Value& x,
                                   const std::vector<std::size_t>& order) const {
  if (const auto* a = std::get_if<Activation>(&x)) {
    Layout layout;
    for (const std::size_t i : order) layout.push_back(a->layout[i]);
    return Activation{a->node, std::move(layout), a->softmax};
  }
  const auto result = constant_permuted(std::get<ConstantTensor>(x), {order.begin(), order.end()});
  if (!result) refuse(call, "an empty or too large constant");
  return *result;
}

void Importer::permute(const Call& call) {
  const Value x = operand(call, "self");
  const auto* a = std::get_if<Activation>(&x);
  const std::size_t rank =
      a != nullptr ? a->layout.size() : std::get<ConstantTensor>(x).shape.size();
  std::vector<std::size_t> order;
  for (const std::int64_t i : integers(call, "dims", {})) order.push_back(axis(call, i, rank));
  std::vector<std::size_t> sorted = order;
  std::ranges::sort(sorted);
  if (order.size() != rank || std::ranges::adjacent_find(sorted) != sorted.end()) {
    refuse(call, "its axes are no permutation");
  }
  give(call, permuted(call, x, order), alias(call));
}

void Importer::move_axes(const Call& call) {
  const Value x = operand(call, "self");
  const auto* a = std::get_if<Activation>(&x);
  const std::size_t rank =
      a != nullptr ? a->layout.size() : std::get<ConstantTensor>(x).shape.size();
  const Sizes from = integers(call, "source", {}), to = integers(call, "destination", {});
  if (from.size() != 1 || to.size() != 1) refuse(call, "moves other than one axis");
  std::vector<std::size_t> order;
  const std::size_t moved = axis(call, from[0], rank);
  for (std::size_t i = 0; i < rank; ++i) {
    if (i != moved) order.push_back(i);
  }
  order.insert(order.begin() + static_cast<std::ptrdiff_t>(axis(call, to[0], rank)), moved);
  give(call, permuted(call, x, order), alias(call));
}

void Importer::transpose(const Call& call) {
  const Value x = operand(call, "self");
  const auto* a = std::get_if<Activation>(&x);
  const std::size_t rank =
      a != nullptr ? a->layout.size() : std::get<ConstantTensor>(x).shape.size();
  if (rank < 2) refuse(call, "of fewer than two axes");
  std::vector<std::size_t> order(rank);
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::swap(order[axis(call, integer(call, "dim0", 0), rank)],
            order[axis(call, integer(call, "dim1", 1), rank)]);
  give(call, permuted(call, x, order), alias(call));
}

void Importer::squeeze(const Call& call) {
  const Value x = operand(call, "self");
  const auto* a = std::get_if<Activation>(&x);
  const Sizes from = a != nullptr ? sizes(a->layout) : std::get<ConstantTensor>(x).shape;
  const std::vector<std::size_t> gone = axes(call, "dim", from.size());
  Sizes wanted;
  for (std::size_t i = 0; i < from.size(); ++i) {
    if (from[i] != 1 || std::ranges::find(gone, i) == gone.end()) wanted.push_back(from[i]);
  }
  give(call, reshaped(call, x, std::move(wanted)), alias(call));
}

void Importer::unsqueeze(const Call& call) {
  const Value x = operand(call, "self");
  const auto* a = std::get_if<Activation>(&x);
  Sizes wanted = a != nullptr ? sizes(a->layout) : std::get<ConstantTensor>(x).shape;
  const std::size_t at = axis(call, integer(call, "dim", 0), wanted.size() + 1);
  wanted.insert(wanted.begin() + static_cast<std::ptrdiff_t>(at), 1);
  give(call, reshaped(call, x, std::move(wanted)), alias(call));
}

}  // namespace cfp
