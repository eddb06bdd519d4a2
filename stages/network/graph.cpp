#include "stages/network/graph.h"

#include <algorithm>
#include <stdexcept>

#include <fmt/format.h>

#include "stages/core/errors.h"
#include "stages/network/graph_rules.h"
#include "stages/network/overloaded.h"

namespace cfp {
using graph_rules::label;

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
  const auto require = [&](bool condition, std::string_view why) {
    if (!condition) throw std::invalid_argument(fmt::format("node {}: {}", label(node), why));
  };
  require(!node.name.empty(), "has no name");
  require(std::ranges::find(nodes_, node.name, &Node::name) == nodes_.end(), "the name is taken");
  require(std::holds_alternative<Input>(node.op) == nodes_.empty(),
          "the first node, and no other, is the Input");
  channels_.push_back(graph_rules::check_node(node, std::move(input_channels)));
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

namespace {

/// @param input whether what enters it is never negative
bool is_non_negative(const Pointwise& op, bool input) {
  switch (op.function) {
    case Function::kSigmoid:
    case Function::kHardSigmoid:
    case Function::kSoftplus:
      return true;
    case Function::kClamp:
      return op.first >= 0 || (input && op.second >= 0);
    case Function::kElu:
      return input && op.second >= 0;
    default:
      return input;  // nowhere negative right of 0
  }
}

}  // namespace

std::vector<bool> non_negative_values(const NetworkGraph& graph) {
  std::vector<bool> result;
  for (const Node& node : graph.nodes()) {
    const bool inputs = !node.inputs.empty() && std::ranges::all_of(node.inputs, [&](NodeId id) {
      return bool{result[static_cast<std::size_t>(id)]};
    });
    result.push_back(std::visit(
        Overloaded{
            [](const Input&) { return false; }, [](const Conv3d& op) { return op.relu; },
            [](const BatchNorm3d& op) { return op.relu; }, [](const Relu&) { return true; },
            [&](const Add& op) { return op.relu || inputs; }, [](const Linear&) { return false; },
            [&](const Pointwise& op) { return is_non_negative(op, inputs); },
            // pools, products, whatever moves values; a maximum never falls below what went in
            [&](const auto&) { return inputs; }},
        node.op));
  }
  return result;
}

bool carries(const Op& op, std::size_t index) {
  return index == 0 || !std::holds_alternative<Multiply>(op);
}

std::vector<bool> routed_nodes(const NetworkGraph& graph) {
  std::vector<bool> routed(graph.nodes().size(), false);
  if (routed.empty()) return routed;
  routed.back() = true;
  for (NodeId id = graph.output(); id >= 0; --id) {
    if (!routed[static_cast<std::size_t>(id)]) continue;
    const Node& node = graph.node(id);
    for (std::size_t k = 0; k < node.inputs.size(); ++k) {
      if (carries(node.op, k)) routed[static_cast<std::size_t>(node.inputs[k])] = true;
    }
  }
  return routed;
}

void check_routable(const NetworkGraph& graph) {
  const std::vector<bool> routed = routed_nodes(graph);
  for (NodeId id = 0; id < graph.size(); ++id) {
    const auto* function = std::get_if<Pointwise>(&graph.node(id).op);
    if (function == nullptr || !routed[static_cast<std::size_t>(id)] || keeps_zero(*function)) {
      continue;
    }
    throw ConfigError(fmt::format(
        "cannot lead contributions through node {}: its value at 0 is not 0, so it is no factor of "
        "what enters it; such a function can only make a gate",
        label(graph.node(id))));
  }
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
      if (!carries(node.op, k)) continue;
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
