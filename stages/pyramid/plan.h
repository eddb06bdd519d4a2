// Which layers and tensors of a network a pyramid covers.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "stages/core/explain_options.h"
#include "stages/network/graph.h"

namespace cfp {

/// The layers of a pyramid and the values that have to be known for them. Node ids are those of the
/// graph that is run.
struct PyramidPlan {
  struct Layer {
    NodeId node;
    int depth;        ///< from 1 at the class
    NodeId entering;  ///< the node whose value enters the layer
    NodeId tube;      ///< the node at which its tube is taken: before an average over positions
  };
  std::vector<Layer> layers;       ///< from the class downwards
  std::vector<int> layer_of_node;  ///< by node: index into layers, or -1
  std::vector<bool> wanted;        ///< by node: values whose gradient is wanted
  std::vector<bool> wanted_tube;   ///< by node: values at which a tube is taken
  NodeId classifier;               ///< the layer of depth 1
};

/// @throws ConfigError a layer name that is not there (with the nearest ones), or no layer at all
PyramidPlan plan_pyramid(const NetworkGraph& graph, const ExplainOptions& options);

/// One pyramid that is asked for.
struct PyramidRequest {
  ExplainOptions options;
  PyramidPlan plan;

  bool wants(NodeId id) const { return plan.wanted[static_cast<std::size_t>(id)]; }
  bool has_layer(NodeId id) const { return plan.layer_of_node[static_cast<std::size_t>(id)] >= 0; }
};

/// @return by node: whether any request wants its value
std::vector<bool> wanted_by_any(std::span<const PyramidRequest> requests);

}  // namespace cfp
