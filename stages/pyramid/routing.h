// Which found kernels and channels a chain of edges leads to from the class.
#pragma once

#include <optional>
#include <vector>

#include "stages/core/pyramid.h"
#include "stages/network/graph.h"

namespace cfp {

/// What is known of one node for one clip. Absent: not covered by the pyramid.
struct NodeRelevance {
  std::optional<ChannelRelevance> value;    ///< of what the node gives to its readers
  std::optional<ChannelRelevance> kernels;  ///< of a layer's own output
  std::vector<ChannelRelevance> addends;    ///< of a sum: first, second
  std::vector<Edge> edges;                  ///< of a layer
};

/// Marks as found in a node what is found in another clip's, or in the mean of several.
void find_what(const NodeRelevance& common, NodeRelevance& known);

/// Where channel `channel` of a node's value comes from.
struct ChannelSource {
  NodeId node;
  int channel;
  bool operator==(const ChannelSource&) const = default;
};

/// Channel routing of one node that is no layer (docs/method.md, section 4).
///
/// @throws SystemError an operation that cannot be routed; names node and operation
std::vector<ChannelSource> route_channel(const NetworkGraph& graph, NodeId id, int channel);

/// Marks as reached what edges and routing through found channels lead to from the class.
///
/// @param relevance by node; `reached` of everything in it is set
void mark_reached(const NetworkGraph& graph, NodeId classifier, int class_index,
                  std::vector<NodeRelevance>& relevance);

}  // namespace cfp
