// The GraphML of results/report/graph_export.h.
#include <cmath>

#include "results/report/graph_export.h"
#include "results/report/html.h"
#include "results/statistics/csv.h"

namespace cfp {
namespace {

struct Key {
  const char* id;
  const char* domain;  ///< `graph`, `node` or `edge`
  const char* name;
  const char* type;
};

constexpr Key kKeys[] = {
    {"g_version", "graph", "schema_version", "int"},
    {"g_run", "graph", "run", "string"},
    {"g_network", "graph", "network", "string"},
    {"g_weights", "graph", "weights", "string"},
    {"g_method", "graph", "method", "string"},
    {"g_clip", "graph", "clip_id", "string"},
    {"g_view", "graph", "view", "int"},
    {"g_views", "graph", "views", "int"},
    {"g_class", "graph", "class_index", "int"},
    {"g_class_name", "graph", "class_name", "string"},
    {"g_target", "graph", "target_kind", "string"},
    {"g_value", "graph", "target_value", "double"},
    {"n_label", "node", "label", "string"},
    {"n_kind", "node", "kind", "string"},
    {"n_layer", "node", "layer", "string"},
    {"n_depth", "node", "depth", "int"},
    {"n_index", "node", "index", "long"},
    {"n_relevance", "node", "relevance", "double"},
    {"n_positive", "node", "positive", "float"},
    {"n_negative", "node", "negative", "float"},
    {"n_score", "node", "score", "float"},
    {"n_found", "node", "found", "boolean"},
    {"n_reached", "node", "reached", "boolean"},
    {"e_kind", "edge", "kind", "string"},
    {"e_weight", "edge", "weight", "float"},
};

/// As html::escape(), and without the two characters of UTF-8 that XML may not hold.
std::string xml_text(std::string_view text) {
  std::string escaped = html::escape(text);
  for (const std::string_view banned : {"\xEF\xBF\xBE", "\xEF\xBF\xBF"}) {
    for (std::size_t at = 0; (at = escaped.find(banned, at)) != std::string::npos;) {
      escaped.replace(at, banned.size(), "\xEF\xBF\xBD");
    }
  }
  return escaped;
}

std::string data(std::string_view key, std::string_view text) {
  return "<data key=\"" + std::string(key) + "\">" + xml_text(text) + "</data>";
}

/// @return nothing where the number does not exist
template <class T>
std::string data(std::string_view key,
                 T value) requires std::integral<T> || std::floating_point<T> {
  if constexpr (std::floating_point<T>) {
    if (!std::isfinite(value)) return "";
  }
  return data(key, std::string_view(number_text(value)));
}

std::string flag(std::string_view key, bool value) {
  return data(key, std::string_view(value ? "true" : "false"));
}

/// The two kinds of nodes of one layer.
enum class Side { kKernel, kChannel };

const ChannelRelevance& relevance_of(const PyramidLayer& layer, Side side) {
  return side == Side::kKernel ? layer.kernels : layer.channels;
}

/// A name token of XML, whatever the layer is called.
std::string node_id(std::size_t layer, Side side, std::size_t index) {
  return "L" + number_text(layer) + (side == Side::kKernel ? "k" : "c") + number_text(index);
}

bool is_kept(const ChannelRelevance& relevance, std::size_t index, GraphNodes nodes) {
  if (nodes == GraphNodes::kAll) return index < relevance.channels();
  const auto& marks = nodes == GraphNodes::kFound ? relevance.found : relevance.reached;
  return index < marks.size() && marks[index] != 0;
}

std::string graph_data(const PyramidGraph& graph) {
  const Pyramid& pyramid = graph.pyramid();
  std::string xml;
  for (const std::string& line :
       {data("g_version", kGraphSchemaVersion), data("g_run", graph.run),
        data("g_network", graph.network),
        data("g_weights", graph.random_weights ? "random" : "checkpoint"),
        data("g_method", pyramid.method), data("g_clip", graph.clip->clip_id),
        data("g_view", graph.clip->view), data("g_views", graph.clip->views),
        data("g_class", pyramid.target.class_index),
        data("g_class_name", graph.class_name(pyramid.target.class_index)),
        data("g_target", pyramid.target.kind), data("g_value", pyramid.target.value)}) {
    if (!line.empty()) xml += "    " + line + '\n';
  }
  return xml;
}

std::string node_xml(const PyramidLayer& layer, std::size_t layer_index, Side side,
                     std::size_t index) {
  const ChannelRelevance& r = relevance_of(layer, side);
  const std::string kind = side == Side::kKernel ? "kernel" : "channel";
  std::string xml = "    <node id=\"" + node_id(layer_index, side, index) + "\">" +
                    data("n_label", layer.name + ' ' + kind + ' ' + number_text(index)) +
                    data("n_kind", kind) + data("n_layer", layer.name) +
                    data("n_depth", layer.depth) + data("n_index", index);
  const bool has_positive = index < r.positive.size(), has_negative = index < r.negative.size();
  if (has_positive && has_negative) {
    xml += data("n_relevance", double{r.positive[index]} - double{r.negative[index]});
  }
  if (has_positive) xml += data("n_positive", r.positive[index]);
  if (has_negative) xml += data("n_negative", r.negative[index]);
  xml += data("n_score", r.score[index]);
  if (index < r.found.size()) xml += flag("n_found", r.found[index] != 0);
  if (index < r.reached.size()) xml += flag("n_reached", r.reached[index] != 0);
  return xml + "</node>\n";
}

std::string edge_xml(const std::string& source, const std::string& target, std::string_view kind,
                     const std::string& weight) {
  return "    <edge source=\"" + source + "\" target=\"" + target + "\">" + data("e_kind", kind) +
         weight + "</edge>\n";
}

void write_nodes(const PyramidGraph& graph, GraphNodes nodes, const TextSink& write) {
  const std::vector<PyramidLayer>& layers = graph.pyramid().layers;
  for (std::size_t l = 0; l < layers.size(); ++l) {
    for (const Side side : {Side::kKernel, Side::kChannel}) {
      const ChannelRelevance& relevance = relevance_of(layers[l], side);
      for (std::size_t i = 0; i < relevance.channels(); ++i) {
        if (is_kept(relevance, i, nodes)) write(node_xml(layers[l], l, side, i));
      }
    }
  }
}

void write_edges(const PyramidGraph& graph, GraphNodes nodes, const TextSink& write) {
  const std::vector<PyramidLayer>& layers = graph.pyramid().layers;
  for (std::size_t l = 0; l < layers.size(); ++l) {
    for (const Edge& edge : layers[l].edges) {
      if (!is_kept(layers[l].kernels, edge.kernel, nodes) ||
          !is_kept(layers[l].channels, edge.channel, nodes)) {
        continue;
      }
      write(edge_xml(node_id(l, Side::kChannel, edge.channel),
                     node_id(l, Side::kKernel, edge.kernel), "evidence",
                     data("e_weight", edge.score)));
    }
  }
  if (!graph.routes) return;
  for (const ChannelRoute& route : *graph.routes) {
    if (!is_kept(layers.at(route.from_layer).kernels, route.kernel, nodes) ||
        !is_kept(layers.at(route.to_layer).channels, route.channel, nodes)) {
      continue;
    }
    write(edge_xml(node_id(route.from_layer, Side::kKernel, route.kernel),
                   node_id(route.to_layer, Side::kChannel, route.channel), "route", ""));
  }
}

}  // namespace

void write_graphml(const PyramidGraph& graph, GraphNodes nodes, const TextSink& write) {
  graph.pyramid();  // throws before anything is written
  write(
      "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
      "<graphml xmlns=\"http://graphml.graphdrawing.org/xmlns\"\n"
      "         xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\"\n"
      "         xsi:schemaLocation=\"http://graphml.graphdrawing.org/xmlns\n"
      "             http://graphml.graphdrawing.org/xmlns/1.0/graphml.xsd\">\n");
  for (const Key& key : kKeys) {
    write("  <key id=\"" + std::string(key.id) + "\" for=\"" + key.domain + "\" attr.name=\"" +
          key.name + "\" attr.type=\"" + key.type + "\"/>\n");
  }
  write("  <graph id=\"pyramid\" edgedefault=\"directed\">\n");
  write(graph_data(graph));
  write_nodes(graph, nodes, write);
  write_edges(graph, nodes, write);
  write("  </graph>\n</graphml>\n");
}

}  // namespace cfp
