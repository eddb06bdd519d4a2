// Calls that compute over windows: convolutions, normalisation, classifiers, pools.
#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "stages/network/exported/importer.h"

namespace cfp {
namespace {

int as_int(std::int64_t n) { return static_cast<int>(n); }

/// Weights of a transposed convolution as those of the convolution that it is on the spread input:
/// [in, out/groups, …] to [out, in/groups, …], windows turned round.
std::vector<float> turned(const ConstantTensor& weight, std::int64_t groups) {
  const std::int64_t in = weight.shape[0] / groups, out = weight.shape[1];
  const std::int64_t taps = weight.elements() / (weight.shape[0] * out);
  std::vector<float> result(static_cast<std::size_t>(weight.elements()));
  float* to = result.data();
  for (std::int64_t g = 0; g < groups; ++g) {
    for (std::int64_t o = 0; o < out; ++o) {
      for (std::int64_t i = 0; i < in; ++i) {
        const float* from = weight.data.get() + ((g * in + i) * out + o) * taps;
        std::reverse_copy(from, from + taps, to);
        to += taps;
      }
    }
  }
  return result;
}

}  // namespace

void Importer::convolution(const Call& call) {
  Activation x = activation(call, "input");
  const ConstantTensor* weight = constant(call, "weight");
  const ConstantTensor* bias = constant(call, "bias");
  if (weight == nullptr || weight->shape.size() < 3 || weight->shape.size() > 5 ||
      weight->elements() == 0) {
    refuse(call, "its weight does not have three to five axes");
  }
  const std::size_t rank = weight->shape.size() - 2;
  if (has(call, "padding") && std::holds_alternative<std::string>(*argument(call, "padding"))) {
    refuse(call, "padding by a word is not supported; give it as numbers");
  }
  const bool transposed =
      call.operation.starts_with("aten.conv_transpose") || boolean(call, "transposed", false);
  const std::int64_t groups = integer(call, "groups", 1);
  if (groups < 1 || weight->shape[0] % groups != 0) refuse(call, fmt::format("{} groups", groups));
  const WindowNumbers numbers{{weight->shape.begin() + 2, weight->shape.end()},
                              triple(call, "stride", rank, {1}),
                              triple(call, "padding", rank, {0}),
                              triple(call, "dilation", rank, {1})};
  const std::vector<std::size_t> axes = window_axes(call, x, rank);
  const std::int64_t out = transposed ? weight->shape[1] * groups : weight->shape[0];
  if (out > (1 << 20)) refuse(call, fmt::format("{} kernels", out));
  Conv3d conv{.in_channels = shape(x.node).channels,
              .out_channels = as_int(out),
              .groups = as_int(groups),
              .bias = bias != nullptr};
  const std::int64_t in = transposed ? weight->shape[0] : weight->shape[1] * groups;
  if (in != conv.in_channels || (bias != nullptr && bias->shape != Sizes{out})) {
    refuse(call,
           fmt::format("its weight has {} input channels, its input {}", in, conv.in_channels));
  }
  for (std::size_t i = 0; i < rank; ++i) {
    const std::size_t a = axes[i];
    if (numbers.kernel[i] > (1 << 16)) refuse(call, "its kernel is too long");
    conv.kernel[a] = as_int(numbers.kernel[i]);
    conv.dilation[a] = as_int(numbers.dilation[i]);
    if (!transposed) {
      conv.stride[a] = as_int(numbers.stride[i]);
      conv.padding.before[a] = conv.padding.after[a] = as_int(numbers.padding[i]);
    }
  }
  NodeId input = x.node;
  std::shared_ptr<const float> data = weight->data;
  if (transposed) {
    input = transposed_input(call, input, numbers, axes, triple(call, "output_padding", rank, {0}),
                             conv);
    data = computed_constant({weight->elements()}, turned(*weight, groups)).data;
  } else if (const auto* pad = std::get_if<Pad>(&graph_.node(input).op)) {
    // Zeros around zeros are one padding.
    for (std::size_t a = 0; a < 3; ++a) {
      conv.padding.before[a] += pad->padding.before[a];
      conv.padding.after[a] += pad->padding.after[a];
    }
    input = graph_.node(input).inputs[0];
  }
  const std::string name = layer_name(weight->name);
  const NodeId id = add(call, conv, {input}, name);
  for (const TensorSpec& spec : tensor_specs(graph_.node(id))) {
    add_weight(spec.name, spec.shape, spec.name.ends_with(".bias") ? bias->data : data);
  }
  give_node(call, id, resized(x, axes, id));
}

NodeId Importer::transposed_input(const Call& call, NodeId x, const WindowNumbers& numbers,
                                  const std::vector<std::size_t>& axes, const Sizes& output_padding,
                                  Conv3d& conv) {
  Spread spread;
  for (std::size_t i = 0; i < axes.size(); ++i) {
    const std::size_t a = axes[i];
    const std::int64_t reach = numbers.dilation[i] * (numbers.kernel[i] - 1) - numbers.padding[i];
    if (reach < 0 || numbers.stride[i] < 1 || reach > (1 << 16)) {
      refuse(call,
             "a transposed convolution whose padding is longer than its kernel's reach is not "
             "supported");
    }
    spread.step[a] = as_int(numbers.stride[i]);
    conv.padding.before[a] = as_int(reach);
    conv.padding.after[a] = as_int(reach + output_padding[i]);
  }
  return spread.step == Triple{1, 1, 1} ? x : add(call, spread, {x});
}

void Importer::batch_norm(const Call& call) {
  if (boolean(call, "training", false)) {
    refuse(call, "a batch norm in training mode; call eval() before the export");
  }
  Activation x = ordered(call, activation(call, "input"));
  const ConstantTensor* mean = constant(call, "running_mean");
  const ConstantTensor* variance = constant(call, "running_var");
  if (mean == nullptr || variance == nullptr) refuse(call, "it has no running statistics");
  const std::int64_t channels = shape(x.node).channels;
  if (x.layout.size() < 2 || !is_whole(x.layout[1], AxisKind::kChannel, channels)) {
    refuse(call, "its input does not have its channels second");
  }
  const ConstantTensor* weight = constant(call, "weight");
  const ConstantTensor* bias = constant(call, "bias");
  for (const ConstantTensor* tensor : {mean, variance, weight, bias}) {
    if (tensor != nullptr && tensor->shape != Sizes{channels}) {
      refuse(call, fmt::format("its tensors are not of {} channels", channels));
    }
  }
  const std::string name = layer_name((weight != nullptr ? weight : mean)->name);
  const BatchNorm3d op{.channels = as_int(channels), .eps = number(call, "eps", 1e-5)};
  const NodeId id = add(call, op, {x.node}, name);
  const auto constant_of = [&](float value) {
    return computed_constant({channels},
                             std::vector<float>(static_cast<std::size_t>(channels), value))
        .data;
  };
  add_weight(name + ".weight", {channels}, weight != nullptr ? weight->data : constant_of(1));
  add_weight(name + ".bias", {channels}, bias != nullptr ? bias->data : constant_of(0));
  add_weight(name + ".running_mean", {channels}, mean->data);
  add_weight(name + ".running_var", {channels}, variance->data);
  give_node(call, id, std::move(x.layout));
}

void Importer::linear(const Call& call) {
  const ConstantTensor* weight = constant(call, "weight");
  if (weight == nullptr) refuse(call, "it has no weight");
  dense(call, activation(call, "input"), *weight, constant(call, "bias"));
}

/// What a linear layer becomes when it is decomposed: addmm(bias, x, weight^T) or mm(x, weight^T).
void Importer::matrix_product(const Call& call) {
  const bool with_bias = call.operation == "aten.addmm";
  const ConstantTensor* second = constant(call, "mat2");
  if (second == nullptr || second->shape.size() != 2) refuse(call, "its second matrix is none");
  if (number(call, "alpha", 1) != 1 || number(call, "beta", 1) != 1) {
    refuse(call, "factors other than 1 are not supported");
  }
  const auto weight = constant_permuted(*second, {1, 0});
  if (!weight) refuse(call, "its second matrix is empty or too large");
  dense(call, activation(call, with_bias ? "mat1" : "self"), *weight,
        with_bias ? constant(call, "self") : nullptr);
}

/// What a linear layer over the last of many axes becomes: as many products with one matrix.
void Importer::batched_product(const Call& call) {
  const ConstantTensor* second = constant(call, "mat2");
  if (second == nullptr || second->shape.size() != 3 || second->elements() == 0) {
    refuse(call, "its second matrix is none");
  }
  const std::int64_t elements = second->elements() / second->shape[0];
  for (std::int64_t batch = 1; batch < second->shape[0]; ++batch) {
    const float* first = second->data.get();
    if (!std::equal(first, first + elements, first + batch * elements)) {
      refuse(call, "products with a matrix of its own for each position are not supported");
    }
  }
  const auto one = constant_selected(*second, 0, {0});
  const auto turned_matrix = one ? constant_permuted(*one, {0, 2, 1}) : std::nullopt;
  auto weight = turned_matrix ? constant_view(*turned_matrix, {second->shape[2], second->shape[1]})
                              : std::nullopt;
  if (!weight) refuse(call, "its second matrix is empty or too large");
  weight->name = second->name;
  dense(call, activation(call, "self"), *weight, nullptr);
}

/// A layer over the last axis: a classifier, a convolution of 1x1x1, or, where positions were
/// flattened into that axis, a convolution of all of them.
void Importer::dense(const Call& call, const Activation& given, const ConstantTensor& weight,
                     const ConstantTensor* bias) {
  Activation x = ordered(call, given);
  if (weight.shape.size() != 2 || x.layout.empty() ||
      axis_size(x.layout.back()) != weight.shape[1] || weight.elements() == 0 ||
      weight.shape[0] > (1 << 20) || (bias != nullptr && bias->shape != Sizes{weight.shape[0]})) {
    refuse(call, "its weight does not fit its input's last axis");
  }
  const TensorShape& in = shape(x.node);
  AxisParts flattened = whole_axis(AxisKind::kChannel, in.channels);
  for (std::size_t a = 0; a < 3; ++a) {
    const AxisParts whole = whole_axis(position_axis(a), in.size[a]);
    flattened.insert(flattened.end(), whole.begin(), whole.end());
  }
  const bool channels_last = is_whole(x.layout.back(), AxisKind::kChannel, in.channels);
  if (!channels_last && x.layout.back() != flattened) {
    refuse(call, "its input's last axis is neither the channels nor channels, T, H, W in order");
  }
  const std::string name = layer_name(weight.name);
  NodeId id = 0;
  if (channels_last && in.positions() == 1) {
    id = add(call,
             Linear{.in_features = in.channels,
                    .out_features = as_int(weight.shape[0]),
                    .bias = bias != nullptr},
             {x.node}, name);
  } else {
    Conv3d conv{.in_channels = in.channels,
                .out_channels = as_int(weight.shape[0]),
                .bias = bias != nullptr};
    if (!channels_last) conv.kernel = in.size;
    id = add(call, conv, {x.node}, name);
  }
  for (const TensorSpec& spec : tensor_specs(graph_.node(id))) {
    add_weight(spec.name, spec.shape, spec.name.ends_with(".bias") ? bias->data : weight.data);
  }
  x.layout.back() = whole_axis(AxisKind::kChannel, weight.shape[0]);
  give_node(call, id, std::move(x.layout));
}

// ---- pools -------------------------------------------------------------------------------------

namespace {

/// 1, 2 or 3 from an operation's name: `aten.max_pool3d`.
std::size_t rank_in_name(std::string_view operation) {
  const std::size_t digit = operation.find_first_of("123");
  return digit == std::string_view::npos ? 3 : static_cast<std::size_t>(operation[digit] - '0');
}

}  // namespace

void Importer::max_pool(const Call& call) {
  Activation x = activation(call, "self");
  const std::size_t rank = rank_in_name(call.operation);
  const Sizes kernel = triple(call, "kernel_size", rank, {1});
  const Sizes stride = triple(call, "stride", rank, kernel),
              dilation = triple(call, "dilation", rank, {1}),
              padding = triple(call, "padding", rank, {0});
  if (std::ranges::any_of(dilation, [](std::int64_t d) { return d != 1; })) {
    refuse(call, "a maximum over dilated windows is not supported");
  }
  const std::vector<std::size_t> axes = window_axes(call, x, rank);
  MaxPool3d pool{.ceil_mode = boolean(call, "ceil_mode", false)};
  for (std::size_t i = 0; i < rank; ++i) {
    pool.kernel[axes[i]] = as_int(kernel[i]);
    pool.stride[axes[i]] = as_int(stride[i]);
    pool.padding.before[axes[i]] = pool.padding.after[axes[i]] = as_int(padding[i]);
  }
  NodeId input = x.node;
  if (const auto* pad = std::get_if<Pad>(&graph_.node(input).op);
      pad != nullptr && pool.padding == Padding{}) {
    pool.padding = pad->padding;
    pool.zero_padding = true;
    input = graph_.node(input).inputs[0];
  }
  const NodeId id = add(call, pool, {input});
  give_node(call, id, resized(x, axes, id));
}

void Importer::average_pool(const Call& call) {
  Activation x = activation(call, "self");
  const std::size_t rank = rank_in_name(call.operation);
  const Sizes kernel = triple(call, "kernel_size", rank, {1});
  const Sizes stride = triple(call, "stride", rank, kernel),
              padding = triple(call, "padding", rank, {0});
  if (has(call, "divisor_override")) refuse(call, "a divisor of its own is not supported");
  const std::vector<std::size_t> axes = window_axes(call, x, rank);
  AvgPool3d pool{.ceil_mode = boolean(call, "ceil_mode", false),
                 .count_padding = boolean(call, "count_include_pad", true)};
  for (std::size_t i = 0; i < rank; ++i) {
    pool.kernel[axes[i]] = as_int(kernel[i]);
    pool.stride[axes[i]] = as_int(stride[i]);
    pool.padding[axes[i]] = as_int(padding[i]);
  }
  const NodeId id = add(call, pool, {x.node});
  give_node(call, id, resized(x, axes, id));
}

void Importer::adaptive_pool(const Call& call) {
  Activation x = activation(call, "self");
  const std::size_t rank = rank_in_name(call.operation);
  const Sizes wanted = triple(call, "output_size", rank, {1});
  const std::vector<std::size_t> axes = window_axes(call, x, rank);
  Triple size = shape(x.node).size;
  for (std::size_t i = 0; i < rank; ++i) {
    if (wanted[i] < 1) refuse(call, "its output is empty");
    size[axes[i]] = as_int(wanted[i]);
  }
  Layout layout = x.layout;
  for (std::size_t i = 0; i < rank; ++i) {
    layout[i + 2] = whole_axis(position_axis(axes[i]), size[axes[i]]);
  }
  if (!call.operation.starts_with("aten.adaptive_max")) {
    average_to(call, x, size, std::move(layout));
    return;
  }
  MaxPool3d pool;
  for (std::size_t a = 0; a < 3; ++a) {
    if (shape(x.node).size[a] % size[a] != 0) {
      refuse(call, fmt::format("a maximum over windows of different sizes ({} positions to {}) is "
                               "not supported",
                               shape(x.node).size[a], size[a]));
    }
    pool.kernel[a] = pool.stride[a] = shape(x.node).size[a] / size[a];
  }
  give_node(call, add(call, pool, {x.node}), std::move(layout));
}

/// A mean that leaves `size` positions.
void Importer::average_to(const Call& call, const Activation& a, const Triple& size,
                          Layout layout) {
  const Triple from = shape(a.node).size;
  AvgPool3d pool;
  bool even = true;
  for (std::size_t i = 0; i < 3; ++i) {
    even = even && from[i] % size[i] == 0;
    pool.kernel[i] = pool.stride[i] = std::max(1, from[i] / size[i]);
  }
  NodeId id = a.node;
  if (size == Triple{1, 1, 1}) {
    id = add(call, GlobalAverage{}, {a.node});
  } else if (from != size) {
    id = even ? add(call, pool, {a.node}) : add(call, AdaptiveAverage{size}, {a.node});
  }
  give_node(call, id, std::move(layout));
}

void Importer::mean(const Call& call) {
  const Value given = operand(call, "self");
  const auto* probabilities = std::get_if<Activation>(&given);
  if (probabilities != nullptr && !probabilities->softmax.empty() &&
      shape(probabilities->node).positions() == 1) {
    // Of one position the mean is the position.
    Activation same = *probabilities;
    for (const std::size_t i : axes(call, "dim", same.layout.size())) {
      if (!same.layout[i].empty()) refuse(call, "a mean over probabilities");
    }
    Layout left;
    const std::vector<std::size_t> gone = axes(call, "dim", same.layout.size());
    for (std::size_t i = 0; i < same.layout.size(); ++i) {
      const bool averaged = std::ranges::find(gone, i) != gone.end();
      if (!averaged || boolean(call, "keepdim", false)) left.push_back(same.layout[i]);
    }
    same.layout = std::move(left);
    give(call, same);
    return;
  }
  const Activation x = activation(call, "self");
  Triple size = shape(x.node).size;
  Layout layout;
  const std::vector<std::size_t> gone = axes(call, "dim", x.layout.size());
  for (std::size_t i = 0; i < x.layout.size(); ++i) {
    if (std::ranges::find(gone, i) == gone.end()) {
      layout.push_back(x.layout[i]);
      continue;
    }
    for (const AxisPart& part : x.layout[i]) {
      const std::size_t a =
          static_cast<std::size_t>(part.kind) - static_cast<std::size_t>(AxisKind::kTime);
      if (part.kind < AxisKind::kTime || part.size != shape(x.node).size[a]) {
        refuse(call, "a mean over anything but whole axes of T, H, W is not supported");
      }
      size[a] = 1;
    }
    if (boolean(call, "keepdim", false)) layout.emplace_back();
  }
  average_to(call, x, size, std::move(layout));
}

void Importer::maximum(const Call& call) {
  const Activation x = activation(call, "self");
  MaxPool3d pool;
  Layout layout;
  const std::vector<std::size_t> gone = axes(call, "dim", x.layout.size());
  for (std::size_t i = 0; i < x.layout.size(); ++i) {
    if (std::ranges::find(gone, i) == gone.end()) {
      layout.push_back(x.layout[i]);
      continue;
    }
    for (const AxisPart& part : x.layout[i]) {
      const std::size_t a =
          static_cast<std::size_t>(part.kind) - static_cast<std::size_t>(AxisKind::kTime);
      if (part.kind < AxisKind::kTime || part.size != shape(x.node).size[a]) {
        refuse(call, "a maximum over anything but whole axes of T, H, W is not supported");
      }
      pool.kernel[a] = as_int(part.size);
    }
    if (boolean(call, "keepdim", false)) layout.emplace_back();
  }
  give_node(call, add(call, pool, {x.node}), std::move(layout));
}

}  // namespace cfp
