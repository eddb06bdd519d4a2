// Shapes of what nodes give, from those of what they get.
#include <algorithm>

#include <fmt/format.h>

#include "stages/core/errors.h"
#include "stages/network/graph_rules.h"

namespace cfp {
namespace {

using graph_rules::kLargestSize;
using graph_rules::label;
using graph_rules::to_text;

/// Size of one axis after sliding a window along it.
struct WindowAxis {
  int kernel, stride, dilation, before, after;

  std::int64_t extent() const { return std::int64_t{dilation} * (kernel - 1) + 1; }
  /// @return number of positions; less than 1 where not even one window fits
  std::int64_t positions(std::int64_t size) const {
    const std::int64_t room = size + before + after - extent();
    return room < 0 ? 0 : room / stride + 1;
  }
  /// As positions(), but a window may reach over the end if it starts before `last_start`.
  std::int64_t positions_ceil(std::int64_t size, std::int64_t last_start) const {
    const std::int64_t room = size + before + after - extent();
    if (room < 0) return 0;
    const std::int64_t count = (room + stride - 1) / stride + 1;
    return (count - 1) * stride < last_start ? count : count - 1;
  }
};

/// Finds the shape of one node's result from the shapes of its inputs.
class ShapeRule {
 public:
  ShapeRule(const Node& node, const std::vector<TensorShape>& inputs, const Triple& clip)
      : node_(node), inputs_(inputs), clip_(clip) {}

  TensorShape operator()(const Input& op) const { return {op.channels, clip_}; }
  TensorShape operator()(const Conv3d& op) const {
    TensorShape shape{op.out_channels, {}};
    for (std::size_t a = 0; a < 3; ++a) {
      const WindowAxis axis{op.kernel[a], op.stride[a], op.dilation[a], op.padding.before[a],
                            op.padding.after[a]};
      shape.size[a] = checked(axis.positions(inputs_[0].size[a]), op.kernel);
    }
    if (inputs_.size() == 2) want_same(shape, inputs_[1]);
    return shape;
  }
  TensorShape operator()(const BatchNorm3d&) const { return inputs_[0]; }
  TensorShape operator()(const Relu&) const { return inputs_[0]; }
  TensorShape operator()(const MaxPool3d& op) const {
    TensorShape shape = inputs_[0];
    for (std::size_t a = 0; a < 3; ++a) {
      const WindowAxis axis{op.kernel[a], op.stride[a], 1, op.padding.before[a],
                            op.padding.after[a]};
      const std::int64_t size = shape.size[a];
      // A window that started in the padding behind would hold nothing, unless padding is zeros.
      const std::int64_t last_start = size + axis.before + (op.zero_padding ? axis.after : 0);
      shape.size[a] = checked(
          op.ceil_mode ? axis.positions_ceil(size, last_start) : axis.positions(size), op.kernel);
    }
    return shape;
  }
  TensorShape operator()(const AvgPool3d& op) const {
    TensorShape shape = inputs_[0];
    for (std::size_t a = 0; a < 3; ++a) {
      const WindowAxis axis{op.kernel[a], op.stride[a], 1, op.padding[a], op.padding[a]};
      const std::int64_t size = shape.size[a];
      shape.size[a] = checked(
          op.ceil_mode ? axis.positions_ceil(size, size + op.padding[a]) : axis.positions(size),
          op.kernel);
    }
    return shape;
  }
  TensorShape operator()(const GlobalAverage&) const { return {inputs_[0].channels, {1, 1, 1}}; }
  TensorShape operator()(const AdaptiveAverage& op) const { return {inputs_[0].channels, op.size}; }
  TensorShape operator()(const SelectChannels& op) const {
    return {static_cast<int>(op.source.size()), inputs_[0].size};
  }
  TensorShape operator()(const SelectPositions& op) const {
    TensorShape shape = inputs_[0];
    int& size = shape.size[static_cast<std::size_t>(op.axis)];
    if (const int last = std::ranges::max(op.source); last >= size) {
      fail(fmt::format("its input is {} (T x H x W), but it takes position {} of axis {}",
                       to_text(shape.size), last, op.axis));
    }
    size = static_cast<int>(op.source.size());
    return shape;
  }
  TensorShape operator()(const Pad& op) const {
    TensorShape shape = inputs_[0];
    for (std::size_t a = 0; a < 3; ++a) {
      shape.size[a] =
          bounded(std::int64_t{shape.size[a]} + op.padding.before[a] + op.padding.after[a]);
    }
    return shape;
  }
  TensorShape operator()(const Spread& op) const {
    TensorShape shape = inputs_[0];
    for (std::size_t a = 0; a < 3; ++a) {
      shape.size[a] = bounded((std::int64_t{shape.size[a]} - 1) * op.step[a] + 1);
    }
    return shape;
  }
  TensorShape operator()(const Pointwise&) const { return inputs_[0]; }
  TensorShape operator()(const Multiply&) const {
    for (std::size_t a = 0; a < 3; ++a) {
      if (inputs_[1].size[a] == 1 || inputs_[1].size[a] == inputs_[0].size[a]) continue;
      fail(fmt::format("a gate of {} does not fit its input of {} (T x H x W)",
                       to_text(inputs_[1].size), to_text(inputs_[0].size)));
    }
    return inputs_[0];
  }
  TensorShape operator()(const Add&) const {
    want_same(inputs_[0], inputs_[1]);
    return inputs_[0];
  }
  TensorShape operator()(const Concat&) const {
    TensorShape shape = inputs_[0];
    for (std::size_t i = 1; i < inputs_.size(); ++i) {
      want_same({inputs_[i].channels, shape.size}, inputs_[i]);
      shape.channels += inputs_[i].channels;
    }
    return shape;
  }
  TensorShape operator()(const Linear& op) const {
    if (inputs_[0].size != Triple{1, 1, 1}) {
      fail(fmt::format("its input is {} (T x H x W), it takes 1x1x1", to_text(inputs_[0].size)));
    }
    return {op.out_features, {1, 1, 1}};
  }

 private:
  [[noreturn]] void fail(const std::string& why) const {
    throw ConfigError(fmt::format("a clip of {} (T x H x W) does not fit the network: node {}: {}",
                                  to_text(clip_), label(node_), why));
  }
  int bounded(std::int64_t size) const {
    if (size > kLargestSize) {
      fail(fmt::format("makes an axis of {}, allowed are {}", size, kLargestSize));
    }
    return static_cast<int>(size);
  }
  int checked(std::int64_t positions, const Triple& kernel) const {
    if (positions < 1) {
      fail(fmt::format("its input is {} (T x H x W), too small for a window of {}",
                       to_text(inputs_[0].size), to_text(kernel)));
    }
    return static_cast<int>(positions);
  }
  void want_same(const TensorShape& wanted, const TensorShape& given) const {
    if (wanted == given) return;
    fail(fmt::format("its inputs differ in shape: {} channels of {}, {} channels of {}",
                     wanted.channels, to_text(wanted.size), given.channels, to_text(given.size)));
  }

  const Node& node_;
  const std::vector<TensorShape>& inputs_;
  const Triple& clip_;
};

}  // namespace

TensorShape infer_shape(const Node& node, const std::vector<TensorShape>& inputs,
                        const Triple& clip_size) {
  return std::visit(ShapeRule(node, inputs, clip_size), node.op);
}

std::vector<TensorShape> infer_shapes(const NetworkGraph& graph, const Triple& input_size) {
  if (std::ranges::min(input_size) < 1 || std::ranges::max(input_size) > kLargestSize) {
    throw ConfigError(fmt::format("a clip of {} (T x H x W): each must be from 1 to {}",
                                  to_text(input_size), kLargestSize));
  }
  std::vector<TensorShape> shapes;
  for (const Node& node : graph.nodes()) {
    std::vector<TensorShape> inputs;
    for (const NodeId id : node.inputs) inputs.push_back(shapes[static_cast<std::size_t>(id)]);
    shapes.push_back(infer_shape(node, inputs, input_size));
  }
  return shapes;
}

}  // namespace cfp
