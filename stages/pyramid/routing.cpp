#include "stages/pyramid/routing.h"

#include <fmt/format.h>

#include "stages/core/errors.h"

namespace cfp {
namespace {

using Marks = std::vector<std::uint8_t>;

std::size_t index(std::int64_t i) { return static_cast<std::size_t>(i); }

/// Keeps the marks of found channels alone, and records them.
Marks through_found(const Marks& marks, ChannelRelevance& relevance) {
  for (std::size_t c = 0; c < marks.size(); ++c) {
    relevance.reached[c] = marks[c] && relevance.found[c];
  }
  return relevance.reached;
}

void unite(Marks& into, const Marks& marks) {
  for (std::size_t c = 0; c < marks.size(); ++c) into[c] |= marks[c];
}

class Reach {
 public:
  Reach(const NetworkGraph& graph, std::vector<NodeRelevance>& relevance)
      : graph_(graph), relevance_(relevance) {
    for (NodeId id = 0; id < graph.size(); ++id) marks_.emplace_back(index(graph.channels(id)), 0);
  }

  void run(NodeId classifier, int class_index) {
    marks_[index(classifier)][index(class_index)] = 1;
    for (NodeId id = classifier; id >= 0; --id) {
      NodeRelevance& known = relevance_[index(id)];
      Marks marks = marks_[index(id)];
      if (known.value) marks = through_found(marks, *known.value);
      if (is_layer(graph_.node(id))) {
        through_layer(id, marks);
      } else {
        through_other(id, marks);
      }
    }
  }

 private:
  void through_layer(NodeId id, const Marks& marks) {
    const Node& node = graph_.node(id);
    NodeRelevance& known = relevance_[index(id)];
    if (node.inputs.size() == 2) {
      if (!known.addends.empty()) through_found(marks, known.addends[0]);
      unite(marks_[index(node.inputs[1])],
            known.addends.empty() ? marks : through_found(marks, known.addends[1]));
    }
    if (!known.kernels) return;
    const Marks kernels = through_found(marks, *known.kernels);
    for (const Edge& edge : known.edges) {
      if (kernels[edge.kernel]) marks_[index(node.inputs[0])][edge.channel] = 1;
    }
  }

  void through_other(NodeId id, const Marks& marks) {
    const Node& node = graph_.node(id);
    if (std::holds_alternative<Add>(node.op)) {
      NodeRelevance& known = relevance_[index(id)];
      for (std::size_t i = 0; i < node.inputs.size(); ++i) {
        unite(marks_[index(node.inputs[i])],
              known.addends.empty() ? marks : through_found(marks, known.addends[i]));
      }
      return;
    }
    for (std::size_t c = 0; c < marks.size(); ++c) {
      if (!marks[c]) continue;
      for (const ChannelSource& source : route_channel(graph_, id, static_cast<int>(c))) {
        marks_[index(source.node)][index(source.channel)] = 1;
      }
    }
  }

  const NetworkGraph& graph_;
  std::vector<NodeRelevance>& relevance_;
  std::vector<Marks> marks_;
};

}  // namespace

void find_what(const NodeRelevance& common, NodeRelevance& known) {
  if (known.value) known.value->found = common.value->found;
  if (known.kernels) known.kernels->found = common.kernels->found;
}

std::vector<ChannelSource> route_channel(const NetworkGraph& graph, NodeId id, int channel) {
  const Node& node = graph.node(id);
  if (std::holds_alternative<Input>(node.op)) return {};
  if (std::holds_alternative<Concat>(node.op)) {
    int offset = 0;
    for (const NodeId input : node.inputs) {
      if (channel < offset + graph.channels(input)) return {{input, channel - offset}};
      offset += graph.channels(input);
    }
    throw std::out_of_range(fmt::format("node '{}' has no channel {}", node.name, channel));
  }
  if (const auto* select = std::get_if<SelectChannels>(&node.op)) {
    return {{node.inputs[0], select->source.at(index(channel))}};
  }
  const auto* function = std::get_if<Pointwise>(&node.op);
  if (is_layer(node) || (function != nullptr && !keeps_zero(*function))) {
    throw SystemError(fmt::format(
        "cannot say where channel {} of node '{}' comes from: no routing for the operation {}",
        channel, node.name,
        function != nullptr ? function_name(function->function) : op_name(node.op)));
  }
  // Everything else keeps channels where they are.
  std::vector<ChannelSource> sources;
  for (std::size_t i = 0; i < node.inputs.size(); ++i) {
    if (carries(node.op, i)) sources.push_back({node.inputs[i], channel});
  }
  return sources;
}

void mark_reached(const NetworkGraph& graph, NodeId classifier, int class_index,
                  std::vector<NodeRelevance>& relevance) {
  Reach(graph, relevance).run(classifier, class_index);
}

}  // namespace cfp
