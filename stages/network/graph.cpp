#include "stages/network/graph.h"

#include <algorithm>
#include <limits>
#include <stdexcept>

#include <fmt/format.h>

#include "stages/core/errors.h"

namespace cfp {
namespace {

template <class... F>
struct Overloaded : F... {
  using F::operator()...;
};
template <class... F>
Overloaded(F...) -> Overloaded<F...>;

/// Longest side of a clip and of a window; keeps every sum and product of sizes far from overflow.
constexpr int kLargestSize = 1 << 16;

std::string to_text(const Triple& t) { return fmt::format("{}x{}x{}", t[0], t[1], t[2]); }

std::string label(const Node& node) {
  return fmt::format("'{}' ({})", node.name, op_name(node.op));
}

/// Checks a node before it joins a graph, and finds how many channels it gives.
class NodeChecker {
 public:
  NodeChecker(const Node& node, std::vector<int> input_channels)
      : node_(node), input_channels_(std::move(input_channels)) {}

  /// @return channels of the node's result
  int operator()(const Input& op) const {
    want_inputs(0, 0);
    require(op.channels >= 1, fmt::format("{} channels, but at least 1 is needed", op.channels));
    return op.channels;
  }
  int operator()(const Conv3d& op) const {
    want_inputs(1, 2);
    want_channels(0, op.in_channels);
    require(op.out_channels >= 1, fmt::format("{} output channels", op.out_channels));
    require(op.groups >= 1 && op.in_channels % op.groups == 0 && op.out_channels % op.groups == 0,
            fmt::format("{} groups do not divide {} input and {} output channels", op.groups,
                        op.in_channels, op.out_channels));
    want_positive("kernel", op.kernel);
    want_positive("stride", op.stride);
    want_positive("dilation", op.dilation);
    want_padding(op.padding);
    if (input_channels_.size() == 2) want_channels(1, op.out_channels);
    return op.out_channels;
  }
  int operator()(const BatchNorm3d& op) const {
    want_inputs(1, 1);
    want_channels(0, op.channels);
    require(op.eps >= 0, fmt::format("eps is {}, but must not be negative", op.eps));
    return op.channels;
  }
  int operator()(const Relu&) const { return same_as_input(); }
  int operator()(const MaxPool3d& op) const {
    want_positive("kernel", op.kernel);
    want_positive("stride", op.stride);
    want_padding(op.padding);
    for (std::size_t axis = 0; axis < 3; ++axis) {
      // Else a window could lie in the padding alone, where there is no maximum.
      require(
          op.zero_padding ||
              std::max(op.padding.before[axis], op.padding.after[axis]) < op.kernel[axis],
          fmt::format("padding {} and {} must be smaller than the kernel {}",
                      to_text(op.padding.before), to_text(op.padding.after), to_text(op.kernel)));
    }
    return same_as_input();
  }
  int operator()(const AvgPool3d& op) const {
    want_positive("kernel", op.kernel);
    want_positive("stride", op.stride);
    return same_as_input();
  }
  int operator()(const GlobalAverage&) const { return same_as_input(); }
  int operator()(const Add&) const {
    want_inputs(2, 2);
    want_channels(1, input_channels_[0]);
    return input_channels_[0];
  }
  int operator()(const Concat&) const {
    want_inputs(2, 1 << 16);
    std::int64_t sum = 0;
    for (const int channels : input_channels_) sum += channels;
    require(sum <= std::numeric_limits<int>::max(), fmt::format("{} channels", sum));
    return static_cast<int>(sum);
  }
  int operator()(const Linear& op) const {
    want_inputs(1, 1);
    want_channels(0, op.in_features);
    require(op.out_features >= 1, fmt::format("{} output features", op.out_features));
    return op.out_features;
  }

  void require(bool condition, const std::string& why) const {
    if (!condition) throw std::invalid_argument(fmt::format("node {}: {}", label(node_), why));
  }

 private:
  int same_as_input() const {
    want_inputs(1, 1);
    return input_channels_[0];
  }
  void want_inputs(std::size_t least, std::size_t most) const {
    require(input_channels_.size() >= least && input_channels_.size() <= most,
            fmt::format(
                "has {} inputs, takes {}", input_channels_.size(),
                least == most ? fmt::format("{}", least) : fmt::format("{} to {}", least, most)));
  }
  void want_channels(std::size_t input, int channels) const {
    require(input_channels_[input] == channels,
            fmt::format("input {} has {} channels, {} are needed", input, input_channels_[input],
                        channels));
  }
  void want_positive(std::string_view what, const Triple& t) const {
    require(std::ranges::min(t) >= 1 && std::ranges::max(t) <= kLargestSize,
            fmt::format("{} is {}, each must be from 1 to {}", what, to_text(t), kLargestSize));
  }
  void want_padding(const Padding& padding) const {
    require(std::min(std::ranges::min(padding.before), std::ranges::min(padding.after)) >= 0 &&
                std::max(std::ranges::max(padding.before), std::ranges::max(padding.after)) <=
                    kLargestSize,
            fmt::format("padding is {} and {}, each must be from 0 to {}", to_text(padding.before),
                        to_text(padding.after), kLargestSize));
  }

  const Node& node_;
  std::vector<int> input_channels_;
};

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
  ShapeRule(const Node& node, std::vector<TensorShape> inputs, const Triple& clip)
      : node_(node), inputs_(std::move(inputs)), clip_(clip) {}

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
      const WindowAxis axis{op.kernel[a], op.stride[a], 1, 0, 0};
      shape.size[a] = checked(axis.positions(shape.size[a]), op.kernel);
    }
    return shape;
  }
  TensorShape operator()(const GlobalAverage&) const { return {inputs_[0].channels, {1, 1, 1}}; }
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
  std::vector<TensorShape> inputs_;
  const Triple& clip_;
};

}  // namespace

std::string_view op_name(const Op& op) {
  return std::visit(
      Overloaded{[](const Input&) -> std::string_view { return "Input"; },
                 [](const Conv3d&) -> std::string_view { return "Conv3d"; },
                 [](const BatchNorm3d&) -> std::string_view { return "BatchNorm3d"; },
                 [](const Relu&) -> std::string_view { return "Relu"; },
                 [](const MaxPool3d&) -> std::string_view { return "MaxPool3d"; },
                 [](const AvgPool3d&) -> std::string_view { return "AvgPool3d"; },
                 [](const GlobalAverage&) -> std::string_view { return "GlobalAverage"; },
                 [](const Add&) -> std::string_view { return "Add"; },
                 [](const Concat&) -> std::string_view { return "Concat"; },
                 [](const Linear&) -> std::string_view { return "Linear"; }},
      op);
}

NodeId NetworkGraph::add(std::string name, Op op, std::vector<NodeId> inputs) {
  Node node{std::move(name), std::move(op), std::move(inputs)};
  std::vector<int> input_channels;
  for (const NodeId id : node.inputs) {
    if (id < 0 || id >= size()) {
      throw std::invalid_argument(fmt::format("node {}: there is no node {} before it (it is {})",
                                              label(node), id, size()));
    }
    input_channels.push_back(channels(id));
  }
  const NodeChecker check(node, std::move(input_channels));
  check.require(!node.name.empty(), "has no name");
  check.require(std::ranges::find(nodes_, node.name, &Node::name) == nodes_.end(),
                "the name is taken");
  check.require(std::holds_alternative<Input>(node.op) == nodes_.empty(),
                "the first node, and no other, is the Input");
  channels_.push_back(std::visit(check, node.op));
  nodes_.push_back(std::move(node));
  return output();
}

std::vector<NodeId> NetworkGraph::readers(NodeId id) const {
  std::vector<NodeId> found;
  for (NodeId reader = 0; reader < size(); ++reader) {
    if (std::ranges::find(node(reader).inputs, id) != node(reader).inputs.end()) {
      found.push_back(reader);
    }
  }
  return found;
}

NodeId NetworkGraph::find(std::string_view name) const {
  const auto found = std::ranges::find(nodes_, name, &Node::name);
  if (found == nodes_.end()) {
    throw std::out_of_range(fmt::format("the network has no node called '{}'", name));
  }
  return static_cast<NodeId>(found - nodes_.begin());
}

bool is_layer(const Node& node) {
  return std::holds_alternative<Conv3d>(node.op) || std::holds_alternative<Linear>(node.op);
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
    shapes.push_back(std::visit(ShapeRule(node, std::move(inputs), input_size), node.op));
  }
  return shapes;
}

std::vector<bool> non_negative_values(const NetworkGraph& graph) {
  std::vector<bool> result;
  for (const Node& node : graph.nodes()) {
    const bool inputs = !node.inputs.empty() && std::ranges::all_of(node.inputs, [&](NodeId id) {
      return bool{result[static_cast<std::size_t>(id)]};
    });
    result.push_back(std::visit(
        Overloaded{[](const Input&) { return false; }, [](const Conv3d& op) { return op.relu; },
                   [](const BatchNorm3d& op) { return op.relu; }, [](const Relu&) { return true; },
                   [&](const Add& op) { return op.relu || inputs; },
                   [](const Linear&) { return false; },
                   // pools and concatenation; a maximum never falls below what went in
                   [&](const auto&) { return inputs; }},
        node.op));
  }
  return result;
}

std::vector<int> layer_depths(const NetworkGraph& graph) {
  constexpr int kNoPath = -1;
  // Layers on the longest path from a node's result to the class; kNoPath where none leads there.
  std::vector<int> after(graph.nodes().size(), kNoPath);
  std::vector<int> depths(graph.nodes().size(), 0);
  if (after.empty()) return depths;
  after.back() = 0;
  for (NodeId id = graph.output(); id >= 0; --id) {
    const auto i = static_cast<std::size_t>(id);
    if (after[i] == kNoPath) continue;
    const Node& node = graph.node(id);
    if (is_layer(node)) depths[i] = after[i] + 1;
    for (std::size_t k = 0; k < node.inputs.size(); ++k) {
      // What a convolution adds to its own result goes past it, not through it.
      const int before = is_layer(node) && k == 0 ? depths[i] : after[i];
      int& best = after[static_cast<std::size_t>(node.inputs[k])];
      best = std::max(best, before);
    }
  }
  return depths;
}

std::vector<TensorSpec> tensor_specs(const Node& node) {
  std::vector<TensorSpec> specs;
  const auto append = [&](std::string_view suffix, std::vector<std::int64_t> shape) {
    specs.push_back({node.name + std::string(suffix), std::move(shape)});
  };
  std::visit(
      Overloaded{
          [&](const Conv3d& op) {
            append(".weight", {op.out_channels, op.in_channels / op.groups, op.kernel[0],
                               op.kernel[1], op.kernel[2]});
            if (op.bias) append(".bias", {op.out_channels});
          },
          [&](const BatchNorm3d& op) {
            for (const char* suffix : {".weight", ".bias", ".running_mean", ".running_var"}) {
              append(suffix, {op.channels});
            }
          },
          [&](const Linear& op) {
            append(".weight", {op.out_features, op.in_features});
            if (op.bias) append(".bias", {op.out_features});
          },
          [](const auto&) {}},
      node.op);
  return specs;
}

std::vector<TensorSpec> tensor_specs(const NetworkGraph& graph) {
  std::vector<TensorSpec> specs;
  for (const Node& node : graph.nodes()) {
    for (TensorSpec& spec : tensor_specs(node)) specs.push_back(std::move(spec));
  }
  return specs;
}

}  // namespace cfp
