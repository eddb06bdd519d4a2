// A network as data: nodes that one can walk, not code that one can only call.
//
// Made by the builders (builders.h), rewritten by the passes (passes.h), run by the executor,
// walked by stages/pyramid. Free of any tensor library.
//
//   NetworkGraph graph = build_resnet3d({.blocks = {3, 4, 6, 3}, .num_classes = 400});
//   for (const Node& node : graph.nodes()) …
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace cfp {

using NodeId = int;

/// A triple over time, height and width.
using Triple = std::array<int, 3>;

/// Zeros put around a tensor, which may differ between the two ends of an axis.
struct Padding {
  Triple before{0, 0, 0};
  Triple after{0, 0, 0};

  bool symmetric() const { return before == after; }
  bool operator==(const Padding&) const = default;
};

/// The clip: [B, channels, T, H, W].
struct Input {
  int channels = 3;
  bool operator==(const Input&) const = default;
};

/// Convolution; the tensors are `<name>.weight` [out, in/groups, kT, kH, kW] and `<name>.bias`
/// [out].
///
/// A pass may fuse what follows: with a second input the result is conv(x) + second, `addition` is
/// the name that the sum had as a node of its own, and `relu` is applied last.
struct Conv3d {
  int in_channels = 0, out_channels = 0;
  Triple kernel{1, 1, 1}, stride{1, 1, 1}, dilation{1, 1, 1};
  Padding padding;
  int groups = 1;
  bool bias = false;
  std::string addition;
  bool relu = false;
  bool operator==(const Conv3d&) const = default;
};

/// Normalisation in evaluation mode; tensors `.weight .bias .running_mean .running_var`, all [C].
struct BatchNorm3d {
  int channels = 0;
  double eps = 1e-5;
  bool relu = false;  ///< set by a pass
  bool operator==(const BatchNorm3d&) const = default;
};

struct Relu {
  bool operator==(const Relu&) const = default;
};

/// Maximum over windows. Positions outside the tensor never win, unless `zero_padding`.
struct MaxPool3d {
  Triple kernel{1, 1, 1}, stride{1, 1, 1};
  Padding padding;
  /// A last window that reaches over the end counts as long as it starts inside the tensor, or,
  /// with `zero_padding`, inside the padded tensor.
  bool ceil_mode = false;
  /// The padding takes part in the maximum as zeros (TensorFlow's SAME).
  bool zero_padding = false;
  bool operator==(const MaxPool3d&) const = default;
};

/// Mean over windows without padding.
struct AvgPool3d {
  Triple kernel{1, 1, 1}, stride{1, 1, 1};
  bool operator==(const AvgPool3d&) const = default;
};

/// Mean over T, H and W: [B, C, T, H, W] -> [B, C].
struct GlobalAverage {
  bool operator==(const GlobalAverage&) const = default;
};

/// Sum of two tensors of one shape.
struct Add {
  bool relu = false;  ///< set by a pass
  bool operator==(const Add&) const = default;
};

/// Concatenation over channels.
struct Concat {
  bool operator==(const Concat&) const = default;
};

/// Classifier: [B, in] -> [B, out]; tensors `<name>.weight` [out, in] and `<name>.bias` [out].
struct Linear {
  int in_features = 0, out_features = 0;
  bool bias = true;
  bool operator==(const Linear&) const = default;
};

using Op = std::variant<Input, Conv3d, BatchNorm3d, Relu, MaxPool3d, AvgPool3d, GlobalAverage, Add,
                        Concat, Linear>;

/// @return the operation's name as error messages and `cfp inspect` print it: `Conv3d`, …
std::string_view op_name(const Op& op);

struct Node {
  std::string name;  ///< the checkpoint's where the node has tensors, else one of our own; unique
  Op op;
  std::vector<NodeId> inputs;

  bool operator==(const Node&) const = default;
};

/// Shape of a tensor without the batch: [C, T, H, W]; T = H = W = 1 after GlobalAverage.
struct TensorShape {
  int channels = 0;
  Triple size{1, 1, 1};
  std::int64_t positions() const { return std::int64_t{1} * size[0] * size[1] * size[2]; }
  bool operator==(const TensorShape&) const = default;
};

/// Nodes in an order in which they can be run: every input stands before its readers.
///
/// The first node is the Input, the last one gives the logits.
class NetworkGraph {
 public:
  /// Appends a node.
  /// @return its id, to name it as an input of later nodes
  /// @throws std::invalid_argument an input that is not there yet, a wrong number of inputs, a name
  ///         that is taken, channel counts that do not fit
  NodeId add(std::string name, Op op, std::vector<NodeId> inputs = {});

  const std::vector<Node>& nodes() const { return nodes_; }
  const Node& node(NodeId id) const { return nodes_.at(static_cast<std::size_t>(id)); }
  int size() const { return static_cast<int>(nodes_.size()); }
  NodeId output() const { return size() - 1; }

  /// Number of channels of a node's result.
  int channels(NodeId id) const { return channels_.at(static_cast<std::size_t>(id)); }
  /// Nodes that read `id`, in order.
  std::vector<NodeId> readers(NodeId id) const;
  /// @return the node of that name
  /// @throws std::out_of_range there is none
  NodeId find(std::string_view name) const;

  bool operator==(const NetworkGraph&) const = default;

 private:
  std::vector<Node> nodes_;
  std::vector<int> channels_;
};

/// @return whether a node has a row in the pyramid: a convolution or the linear classifier
bool is_layer(const Node& node);

/// @return by node: whether its value is never negative, whatever the input
std::vector<bool> non_negative_values(const NetworkGraph& graph);

/// Shapes of all nodes for a clip of [3, T, H, W].
/// @throws ConfigError the clip is too small for a window somewhere; names the node
std::vector<TensorShape> infer_shapes(const NetworkGraph& graph, const Triple& input_size);

/// Depth of every layer: the number of layers on the longest path from it to the class, itself
/// counted. 0 for nodes that are no layers.
std::vector<int> layer_depths(const NetworkGraph& graph);

/// A tensor that a node reads from a checkpoint.
struct TensorSpec {
  std::string name;
  std::vector<std::int64_t> shape;
  bool operator==(const TensorSpec&) const = default;
};

/// The tensors of one node, in a checkpoint's order.
std::vector<TensorSpec> tensor_specs(const Node& node);

/// All tensors of a graph, in the order of the nodes; without num_batches_tracked.
std::vector<TensorSpec> tensor_specs(const NetworkGraph& graph);

}  // namespace cfp
