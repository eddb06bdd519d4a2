// What graph.cpp, graph_checks.cpp and graph_shapes.cpp share; nobody else needs it.
#pragma once

#include <string>
#include <vector>

#include "stages/network/graph.h"

namespace cfp::graph_rules {

/// Longest side of a clip and of a window; keeps every sum and product of sizes far from overflow.
inline constexpr int kLargestSize = 1 << 16;

/// `TxHxW` for messages.
std::string to_text(const Triple& t);

/// Name and operation of a node for messages.
std::string label(const Node& node);

/// Checks a node before it joins a graph.
/// @return channels of its result
/// @throws std::invalid_argument a wrong number of inputs, channel counts that do not fit, numbers
/// out
///         of range; names the node
int check_node(const Node& node, std::vector<int> input_channels);

}  // namespace cfp::graph_rules
