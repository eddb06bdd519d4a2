#include "stages/pyramid/plan.h"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "stages/core/errors.h"

namespace cfp {
namespace {

std::size_t index(NodeId id) { return static_cast<std::size_t>(id); }

void check_names(const NetworkGraph& graph, const std::vector<std::string>& names) {
  std::vector<std::string_view> layers;
  const std::vector<bool> routed = routed_nodes(graph);
  for (NodeId id = 0; id < graph.size(); ++id) {
    if (is_layer(graph.node(id)) && routed[index(id)]) layers.push_back(graph.node(id).name);
  }
  for (const std::string& name : names) {
    if (std::ranges::find(layers, name) != layers.end()) continue;
    std::vector<std::string_view> alike;
    for (const std::string_view layer : layers) {
      if (layer.find(name) != std::string_view::npos || name.find(layer) != std::string::npos) {
        alike.push_back(layer);
      }
    }
    if (alike.size() > 8) alike.resize(8);
    throw ConfigError(fmt::format("explain.depth: the network has no layer '{}'; {}", name,
                                  alike.empty()
                                      ? fmt::format("its {} layers go from '{}' to '{}'",
                                                    layers.size(), layers.front(), layers.back())
                                      : fmt::format("alike: {}", fmt::join(alike, ", "))));
  }
}

bool asked_for(const Node& node, int depth, const ExplainOptions& options) {
  if (!options.layers.empty()) {
    return std::ranges::find(options.layers, node.name) != options.layers.end();
  }
  return options.depth == 0 || depth <= options.depth;
}

}  // namespace

PyramidPlan plan_pyramid(const NetworkGraph& graph, const ExplainOptions& options) {
  check_names(graph, options.layers);
  PyramidPlan plan;
  plan.layer_of_node.assign(index(graph.size()), -1);
  plan.wanted.assign(index(graph.size()), false);
  plan.wanted_tube.assign(index(graph.size()), false);
  const std::vector<int> depths = layer_depths(graph);
  plan.classifier = -1;
  for (NodeId id = graph.output(); id >= 0; --id) {
    const Node& node = graph.node(id);
    if (!is_layer(node)) continue;
    const int depth = depths[index(id)];
    if (depth == 0) continue;  // it only feeds a gate: no contribution passes through it
    if (depth == 1) plan.classifier = id;
    if (!asked_for(node, depth, options)) continue;
    const NodeId entering = node.inputs[0];
    const bool averaged = std::holds_alternative<GlobalAverage>(graph.node(entering).op);
    const NodeId tube = averaged ? graph.node(entering).inputs[0] : entering;
    plan.layers.push_back({id, depth, entering, tube});
    plan.wanted[index(id)] = true;
    plan.wanted[index(entering)] = true;
    if (options.tubes != TubeKind::kNone) {
      plan.wanted[index(tube)] = true;
      plan.wanted_tube[index(tube)] = true;
    }
  }
  if (plan.layers.empty()) {
    throw ConfigError(fmt::format(
        "explain.depth: no layer has a depth up to {}; the classifier has 1, and 0 means all",
        options.depth));
  }
  std::ranges::stable_sort(plan.layers, {}, &PyramidPlan::Layer::depth);
  for (std::size_t i = 0; i < plan.layers.size(); ++i) {
    plan.layer_of_node[index(plan.layers[i].node)] = static_cast<int>(i);
  }
  return plan;
}

std::vector<bool> wanted_by_any(std::span<const PyramidRequest> requests) {
  std::vector<bool> wanted(requests.front().plan.wanted.size(), false);
  for (const PyramidRequest& request : requests) {
    for (std::size_t id = 0; id < wanted.size(); ++id) {
      if (request.plan.wanted[id]) wanted[id] = true;
    }
  }
  return wanted;
}

}  // namespace cfp
