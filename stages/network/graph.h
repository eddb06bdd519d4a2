// A network as data: nodes that one can walk, not code that one can only call.
//
// Made by the builders (builders.h), rewritten by the passes (passes.h), run by the executor,
// walked by stages/pyramid. Free of any tensor library.
//
//   NetworkGraph graph = build_resnet3d({.blocks = {3, 4, 6, 3}, .num_classes = 400});
//   for (const Node& node : graph.nodes()) …
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "stages/network/ops.h"

namespace cfp {

using NodeId = int;

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

/// @return by node: whether a channel's contribution passes through it on its way to the output:
/// not
///         at nodes that only feed gates, or nothing
std::vector<bool> routed_nodes(const NetworkGraph& graph);

/// @return whether the contribution of input `index` passes through a node: not that of a gate
bool carries(const Op& op, std::size_t index);

/// @throws ConfigError a node that carries contributions has an operation that they cannot be led
///         through; names node and operation
void check_routable(const NetworkGraph& graph);

/// Shape of one node's result from those of its inputs; `clip_size` is the Input's.
/// @throws ConfigError as infer_shapes()
TensorShape infer_shape(const Node& node, const std::vector<TensorShape>& inputs,
                        const Triple& clip_size);

/// Shapes of all nodes for a clip of [3, T, H, W].
/// @throws ConfigError the clip is too small for a window somewhere; names the node
std::vector<TensorShape> infer_shapes(const NetworkGraph& graph, const Triple& input_size);

/// Depth of every layer: the number of layers on the longest path from it to the class, itself
/// counted. 0 for nodes that are no layers, and for layers that only feed gates.
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
