// Calls that go over values one by one: functions, sums, products, concatenation.
#include <algorithm>
#include <cmath>
#include <limits>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "stages/network/exported/importer.h"

namespace cfp {
namespace {

constexpr double kNoLimit = std::numeric_limits<float>::max();

}  // namespace

void Importer::relu(const Call& call) {
  const Activation x = activation(call, "self");
  give_node(call, add(call, Relu{}, {x.node}), x.layout);
}

Pointwise Importer::function_of(const Call& call) const {
  std::string name = call.operation.substr(call.operation.find('.') + 1);
  if (name.ends_with('_')) name.pop_back();
  const auto parameter = [&](std::string_view key, double otherwise) {
    return number(call, key, otherwise);
  };
  if (name == "sigmoid") return {Function::kSigmoid};
  if (name == "hardsigmoid") return {Function::kHardSigmoid};
  if (name == "tanh") return {Function::kTanh};
  if (name == "erf") return {Function::kErf};
  if (name == "silu") return {Function::kSilu};
  if (name == "hardswish") return {Function::kHardSwish};
  if (name == "mish") return {Function::kMish};
  if (name == "gelu") {
    return {word(call, "approximate", "none") == "tanh" ? Function::kGeluTanh : Function::kGelu};
  }
  if (name == "softplus") {
    return {Function::kSoftplus, parameter("beta", 1), parameter("threshold", 20)};
  }
  if (name == "elu") {
    return {Function::kElu, parameter("alpha", 1), parameter("scale", 1),
            parameter("input_scale", 1)};
  }
  if (name == "selu") return {Function::kElu, 1.6732632423543772, 1.0507009873554805, 1};
  if (name == "leaky_relu") return {Function::kLeakyRelu, parameter("negative_slope", 0.01)};
  if (name == "relu6") return {Function::kClamp, 0, 6};
  if (name == "hardtanh") {
    return {Function::kClamp, parameter("min_val", -1), parameter("max_val", 1)};
  }
  // clamp, clamp_min, clamp_max
  return {Function::kClamp, parameter("min", -kNoLimit), parameter("max", kNoLimit)};
}

void Importer::function(const Call& call) {
  const Value given = operand(call, "self");
  if (std::holds_alternative<ConstantTensor>(given)) {
    refuse(call, "a function of constants is not supported");
  }
  const Activation x = activation(call, "self");
  const Pointwise op = function_of(call);
  const bool is_relu = op.function == Function::kClamp && op.first == 0 && op.second == kNoLimit;
  give_node(call, add(call, is_relu ? Op(Relu{}) : Op(op), {x.node}), x.layout);
}

/// max(x, 0) + w min(x, 0), channel by channel, of what the graph has: relu(x) - w relu(-x).
void Importer::prelu(const Call& call) {
  Activation x = ordered(call, activation(call, "self"));
  const ConstantTensor* weight = constant(call, "weight");
  const auto channels = static_cast<std::size_t>(shape(x.node).channels);
  const std::int64_t given = weight == nullptr ? 0 : weight->elements();
  if (given == 1) {
    const Pointwise op{Function::kLeakyRelu, weight->data.get()[0]};
    give_node(call, add(call, op, {x.node}), x.layout);
    return;
  }
  if (given != static_cast<std::int64_t>(channels) || x.layout.size() < 2 ||
      !is_whole(x.layout[1], AxisKind::kChannel, shape(x.node).channels)) {
    refuse(call, "its slopes are neither one nor one a channel, or its channels not second");
  }
  std::vector<double> slopes;
  for (std::size_t c = 0; c < channels; ++c) slopes.push_back(-weight->data.get()[c]);
  const std::vector<double> none(channels, 0);
  const NodeId positive = add(call, Relu{}, {x.node});
  const NodeId turned = add_affine(call, x.node, std::vector<double>(channels, -1), none);
  const NodeId negative = add_affine(call, add(call, Relu{}, {turned}), slopes, none);
  give_node(call, add(call, Add{}, {positive, negative}), x.layout);
}

// ---- with constants ----------------------------------------------------------------------------

/// x * c, x / c, x + c, x - c with numbers that are one or one a channel.
void Importer::affine(const Call& call, Activation a, const ConstantTensor& constant, bool factor,
                      bool inverse, double sign) {
  a = ordered(call, std::move(a));
  const std::size_t rank = constant.shape.size();
  if (rank > a.layout.size()) {
    a.layout.insert(a.layout.begin(), rank - a.layout.size(), AxisParts{});
  }
  const std::int64_t channels = shape(a.node).channels;
  std::vector<std::int64_t> element(static_cast<std::size_t>(channels), 0);
  std::int64_t step = 1;
  for (std::size_t i = rank; i-- > 0;) {
    const std::size_t axis = a.layout.size() - rank + i;
    const std::int64_t size = constant.shape[i];
    if (size == 1) continue;
    if (size != axis_size(a.layout[axis]) || !is_channels(a.layout[axis])) {
      refuse(call, fmt::format("a constant of {} is neither one number nor one a channel of {}",
                               fmt::join(constant.shape, "x"), fmt::join(sizes(a.layout), "x")));
    }
    const std::vector<std::int64_t> at = position_of_channel(a.layout, axis, channels);
    for (std::size_t c = 0; c < element.size(); ++c) element[c] += step * at[c];
    step *= size;
  }
  std::vector<double> scale, shift;
  for (const std::int64_t i : element) {
    const double value = constant.data.get()[i];
    if (inverse && value == 0) refuse(call, "a division by 0");
    scale.push_back(factor ? (inverse ? 1 / value : value) : 1);
    shift.push_back(factor ? 0 : sign * value);
  }
  const auto all = [](const std::vector<double>& v, double x) {
    return std::ranges::all_of(v, [x](double y) { return y == x; });
  };
  if (!all(scale, 1) || !all(shift, 0)) a.node = add_affine(call, a.node, scale, shift);
  give_node(call, a.node, a.layout);
}

void Importer::negate(const Call& call) {
  affine(call, activation(call, "self"), computed_constant({}, {-1}), true, false, 1);
}

/// add, sub, rsub
void Importer::add_values(const Call& call) {
  const bool reversed = call.operation.starts_with("aten.rsub");
  const double sign =
      (call.operation.find("sub") == std::string::npos ? 1 : -1) * number(call, "alpha", 1);
  const Value first = operand(call, reversed ? "other" : "self");
  const Value second = operand(call, reversed ? "self" : "other");
  const auto* a = std::get_if<ConstantTensor>(&first);
  const auto* b = std::get_if<ConstantTensor>(&second);
  if (a != nullptr && b != nullptr) {
    const auto result =
        constant_combined(*a, *b, [sign](double x, double y) { return x + sign * y; });
    if (!result) refuse(call, "its constants do not fit one another");
    give(call, *result);
    return;
  }
  if (b != nullptr) {
    affine(call, activation(call, reversed ? "other" : "self"), *b, false, false, sign);
    return;
  }
  Activation right = activation(call, reversed ? "self" : "other");
  if (sign != 1) {
    const auto channels = static_cast<std::size_t>(shape(right.node).channels);
    right.node = add_affine(call, right.node, std::vector<double>(channels, sign),
                            std::vector<double>(channels, 0));
  }
  if (a != nullptr) {
    affine(call, right, *a, false, false, 1);
    return;
  }
  sum(call, activation(call, reversed ? "other" : "self"), right);
}

void Importer::sum(const Call& call, Activation first, Activation second) {
  first = ordered(call, std::move(first));
  second = ordered(call, std::move(second));
  if (sizes(first.layout) != sizes(second.layout)) {
    const std::size_t rank = std::max(first.layout.size(), second.layout.size());
    Sizes whole(rank, 1);
    for (const Layout& layout : {first.layout, second.layout}) {
      for (std::size_t i = 0; i < layout.size(); ++i) {
        std::int64_t& size = whole[rank - layout.size() + i];
        size = std::max(size, axis_size(layout[i]));
      }
    }
    first = expanded_to(call, std::move(first), whole);
    second = expanded_to(call, std::move(second), whole);
  }
  if (first.layout != second.layout) {
    refuse(call, "the axes of its operands are not the same of T, H, W and channels");
  }
  give_node(call, add(call, Add{}, {first.node, second.node}), first.layout);
}

/// mul, div
void Importer::multiply(const Call& call) {
  const bool division = call.operation.starts_with("aten.div");
  if (has(call, "rounding_mode")) refuse(call, "a division that rounds is not supported");
  const Value first = operand(call, "self"), second = operand(call, "other");
  const auto* a = std::get_if<ConstantTensor>(&first);
  const auto* b = std::get_if<ConstantTensor>(&second);
  if (a != nullptr && b != nullptr) {
    const auto result = constant_combined(
        *a, *b, [division](double x, double y) { return division ? x / y : x * y; });
    if (!result) refuse(call, "its constants do not fit one another");
    give(call, *result);
  } else if (b != nullptr) {
    affine(call, activation(call, "self"), *b, true, division, 1);
  } else if (division) {
    refuse(call, "a division by what depends on the clip is not supported");
  } else if (a != nullptr) {
    affine(call, activation(call, "other"), *a, true, false, 1);
  } else {
    product(call, activation(call, "self"), activation(call, "other"));
  }
}

/// Whether a value comes from a bounded function through nothing but moves and scales.
bool Importer::is_bounded_value(NodeId id) const {
  while (true) {
    const Node& node = graph_.node(id);
    if (const auto* function = std::get_if<Pointwise>(&node.op)) {
      if (is_bounded(*function)) return true;
      return false;
    }
    const bool moves = std::holds_alternative<SelectChannels>(node.op) ||
                       std::holds_alternative<SelectPositions>(node.op) ||
                       std::holds_alternative<BatchNorm3d>(node.op) ||
                       std::holds_alternative<Pad>(node.op) ||
                       std::holds_alternative<GlobalAverage>(node.op) ||
                       std::holds_alternative<AvgPool3d>(node.op);
    if (!moves) return false;
    id = node.inputs[0];
  }
}

void Importer::product(const Call& call, Activation first, Activation second) {
  first = ordered(call, std::move(first));
  second = ordered(call, std::move(second));
  const std::size_t rank = std::max(first.layout.size(), second.layout.size());
  for (Activation* a : {&first, &second}) {
    a->layout.insert(a->layout.begin(), rank - a->layout.size(), AxisParts{});
  }
  const auto spreads_over = [](const Activation& small, const Activation& large) {
    bool smaller = false;
    for (std::size_t i = 0; i < large.layout.size(); ++i) {
      if (small.layout[i] == large.layout[i]) continue;
      if (!small.layout[i].empty()) return false;
      smaller = true;
    }
    return smaller;
  };
  bool second_is_gate = spreads_over(second, first);
  if (!second_is_gate && !spreads_over(first, second)) {
    if (first.layout != second.layout) {
      refuse(call, "the axes of its operands do not fit one another");
    }
    second_is_gate = is_bounded_value(second.node);
    if (second_is_gate == is_bounded_value(first.node)) {
      refuse(call, fmt::format("cannot tell which of its operands is the gate of the other: {} of "
                               "them come from a function with a bound, such as a sigmoid",
                               second_is_gate ? "both" : "none"));
    }
  }
  const Activation& x = second_is_gate ? first : second;
  const Activation& gate = second_is_gate ? second : first;
  give_node(call, add(call, Multiply{}, {x.node, gate.node}), x.layout);
}

void Importer::concatenate(const Call& call) {
  const Argument* given = argument(call, "tensors");
  const auto* names = given == nullptr ? nullptr : std::get_if<std::vector<TensorName>>(given);
  if (names == nullptr || names->empty()) refuse(call, "it has no tensors");
  std::vector<Activation> parts;
  for (const TensorName& name : *names) {
    Call one = call;
    one.arguments["tensor"] = name;
    parts.push_back(ordered(call, activation(one, "tensor")));
  }
  Layout layout = parts[0].layout;
  const std::size_t at = axis(call, integer(call, "dim", 0), layout.size());
  std::int64_t channels = 0;
  std::vector<NodeId> nodes;
  for (const Activation& part : parts) {
    Layout others = part.layout;
    const bool fits = others.size() == layout.size() &&
                      is_whole(others[at], AxisKind::kChannel, shape(part.node).channels) &&
                      axis_size(others[at]) == shape(part.node).channels;
    if (!fits) {
      refuse(call, fmt::format("concatenates {} along axis {}; only whole axes of channels can be",
                               fmt::join(sizes(others), "x"), at));
    }
    others[at] = layout[at];
    if (others != layout) refuse(call, "the axes of its parts do not fit one another");
    channels += shape(part.node).channels;
    nodes.push_back(part.node);
  }
  layout[at] = whole_axis(AxisKind::kChannel, channels);
  const NodeId id = nodes.size() == 1 ? nodes[0] : add(call, Concat{}, nodes);
  give_node(call, id, std::move(layout));
}

/// Comparisons of constants, as decomposed ranges have them: 1 or 0.
void Importer::compare(const Call& call) {
  const Value first = operand(call, "self"), second = operand(call, "other");
  const auto* a = std::get_if<ConstantTensor>(&first);
  const auto* b = std::get_if<ConstantTensor>(&second);
  if (a == nullptr || b == nullptr) {
    refuse(call, "comparing what depends on the clip is not supported");
  }
  const std::string name = call.operation.substr(call.operation.find('.') + 1);
  const auto result = constant_combined(*a, *b, [&](double x, double y) {
    const bool truth = name == "lt"   ? x < y
                       : name == "le" ? x <= y
                       : name == "gt" ? x > y
                       : name == "ge" ? x >= y
                       : name == "eq" ? x == y
                                      : x != y;
    return truth ? 1.0 : 0.0;
  });
  if (!result) refuse(call, "its constants do not fit one another");
  give(call, *result);
}

/// where(condition, a, b) of constants.
void Importer::choose(const Call& call) {
  const Value condition = operand(call, "condition");
  const Value first = operand(call, "self"), second = operand(call, "other");
  const auto* c = std::get_if<ConstantTensor>(&condition);
  const auto* a = std::get_if<ConstantTensor>(&first);
  const auto* b = std::get_if<ConstantTensor>(&second);
  if (c == nullptr || a == nullptr || b == nullptr) {
    refuse(call, "a choice that depends on the clip is not supported");
  }
  const auto yes = constant_combined(*c, *a, [](double x, double y) { return x != 0 ? y : 0; });
  const auto no = constant_combined(*c, *b, [](double x, double y) { return x != 0 ? 0 : y; });
  const auto result = yes && no
                          ? constant_combined(*yes, *no, [](double x, double y) { return x + y; })
                          : std::nullopt;
  if (!result) refuse(call, "its constants do not fit one another");
  give(call, *result);
}

/// linspace and arange, from which indices of frames are made.
void Importer::number_range(const Call& call) {
  double first = number(call, "start", 0), step = number(call, "step", 1), count = 0;
  const double end = number(call, "end", 0);
  if (call.operation == "aten.linspace") {
    count = number(call, "steps", 0);
    step = count > 1 ? (end - first) / (count - 1) : 0;
  } else if (step != 0) {
    count = std::ceil((end - first) / step);
  }
  if (!(count >= 1 && count <= (1 << 16)) || !std::isfinite(first) || !std::isfinite(step)) {
    refuse(call, "a range that is empty or too long");
  }
  std::vector<float> values;
  for (int i = 0; i < static_cast<int>(count); ++i) {
    // As PyTorch does it: in float32 from both ends, so that the last is exact.
    const bool late = call.operation == "aten.linspace" && 2 * i >= static_cast<int>(count);
    const auto narrow_step = static_cast<float>(step);
    values.push_back(late
                         ? static_cast<float>(end) - narrow_step * static_cast<float>(count - 1 - i)
                         : static_cast<float>(first) + narrow_step * static_cast<float>(i));
  }
  const std::int64_t n = static_cast<std::int64_t>(values.size());
  if (integer(call, "dtype", 7) <= 5) {
    for (float& value : values) value = std::trunc(value);
  }
  give(call, computed_constant({n}, std::move(values)));
}

}  // namespace cfp
