// The JSON of results/report/graph_export.h, written as it goes: a pyramid down to the pixels has
// hundreds of thousands of numbers.
#include <cmath>

#include <nlohmann/json.hpp>

#include "results/report/graph_export.h"
#include "results/statistics/csv.h"

namespace cfp {
namespace {

/// @return a JSON string; bytes that are no UTF-8 become U+FFFD
std::string json_text(std::string_view text) {
  return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

template <class T>
std::string json_number(T value) {
  if constexpr (std::floating_point<T>) {
    if (!std::isfinite(value)) return "null";
  }
  return number_text(value);
}
std::string json_number(std::uint8_t value) { return number_text(int{value}); }

/// `[a,b,…]` of one number of each item.
template <class Items, class Get>
std::string json_list(const Items& items, Get&& get) {
  std::string list = "[";
  for (const auto& item : items) {
    if (list.size() > 1) list += ',';
    list += json_number(get(item));
  }
  return list + ']';
}

template <class T>
std::string json_list(const std::vector<T>& values) {
  return json_list(values, [](T value) { return value; });
}

std::string relevance_json(const ChannelRelevance& relevance) {
  return "{\"count\":" + json_number(relevance.channels()) +
         ",\"positive\":" + json_list(relevance.positive) +
         ",\"negative\":" + json_list(relevance.negative) +
         ",\"score\":" + json_list(relevance.score) + ",\"found\":" + json_list(relevance.found) +
         ",\"reached\":" + json_list(relevance.reached) + '}';
}

std::string edges_json(const std::vector<Edge>& edges) {
  return "{\"kernel\":" + json_list(edges, [](const Edge& edge) { return edge.kernel; }) +
         ",\"channel\":" + json_list(edges, [](const Edge& edge) { return edge.channel; }) +
         ",\"score\":" + json_list(edges, [](const Edge& edge) { return edge.score; }) + '}';
}

std::string tube_json(const Tube& tube) {
  if (tube.values.empty()) return "null";
  return "{\"shape\":[" + json_number(tube.length) + ',' + json_number(tube.height) + ',' +
         json_number(tube.width) + "],\"minimum\":" + json_number(tube.minimum) +
         ",\"maximum\":" + json_number(tube.maximum) + '}';
}

std::string run_json(const PyramidGraph& graph) {
  std::string json = "{\n    \"name\": " + json_text(graph.run) +
                     ",\n    \"network\": " + json_text(graph.network) +
                     ",\n    \"preset\": " + json_text(graph.preset) + ",\n    \"weights\": " +
                     (graph.random_weights ? "\"random\"" : "\"checkpoint\"") +
                     ",\n    \"weights_hash\": " + json_text(graph.weights_hash) +
                     ",\n    \"config_hash\": " + json_text(graph.config_hash) + "\n  }";
  return json;
}

std::string parameters_json(const PyramidGraph& graph) {
  std::string json = "{";
  for (const auto& [key, value] : graph.parameters) {
    json += (json.size() > 1 ? ",\n    " : "\n    ") + json_text(key) + ": " + value;
  }
  return json + "\n  }";
}

std::string clip_json(const PyramidGraph& graph) {
  const ClipResult& clip = *graph.clip;
  return "{\n    \"row\": " + json_number(clip.row) +
         ",\n    \"clip_id\": " + json_text(clip.clip_id) +
         ",\n    \"path\": " + json_text(clip.path) + ",\n    \"view\": " + json_number(clip.view) +
         ",\n    \"views\": " + json_number(clip.views) +
         ",\n    \"label\": " + (clip.label < 0 ? "null" : json_number(clip.label)) +
         ",\n    \"label_name\": " + json_text(graph.class_name(clip.label)) +
         ",\n    \"prediction\": " + json_number(clip.prediction) +
         ",\n    \"prediction_name\": " + json_text(graph.class_name(clip.prediction)) +
         ",\n    \"logits\": " + json_list(clip.logits) +
         ",\n    \"frame_times_s\": " + json_list(clip.frame_times_s) + "\n  }";
}

std::string target_json(const PyramidGraph& graph) {
  const PyramidTarget& target = graph.pyramid().target;
  return "{\n    \"position\": " + json_number(graph.target) +
         ",\n    \"class_index\": " + json_number(target.class_index) +
         ",\n    \"class_name\": " + json_text(graph.class_name(target.class_index)) +
         ",\n    \"kind\": " + json_text(target.kind) +
         ",\n    \"value\": " + json_number(target.value) + "\n  }";
}

void write_layers(const PyramidGraph& graph, const TextSink& write) {
  bool first = true;
  for (const PyramidLayer& layer : graph.pyramid().layers) {
    write(first ? "\n    {" : ",\n    {");
    first = false;
    write("\"name\": " + json_text(layer.name) + ", \"depth\": " + json_number(layer.depth) +
          ",\n     \"kernels\": ");
    write(relevance_json(layer.kernels));
    write(",\n     \"channels\": ");
    write(relevance_json(layer.channels));
    write(",\n     \"edges\": ");
    write(graph.has_edges ? edges_json(layer.edges) : "null");
    write(",\n     \"tube\": " + tube_json(layer.tube) + '}');
  }
}

void write_additions(const PyramidGraph& graph, const TextSink& write) {
  bool first = true;
  for (const PyramidAddition& addition : graph.pyramid().additions) {
    write(first ? "\n    {" : ",\n    {");
    first = false;
    write("\"name\": " + json_text(addition.name) + ",\n     \"sum\": ");
    write(relevance_json(addition.sum));
    write(",\n     \"addends\": [");
    for (std::size_t a = 0; a < addition.addends.size(); ++a) {
      write((a > 0 ? ", {\"node\": " : "{\"node\": ") + json_text(addition.addend_names.at(a)) +
            ", \"relevance\": ");
      write(relevance_json(addition.addends[a]));
      write("}");
    }
    write("]}");
  }
}

std::string routes_json(const PyramidGraph& graph) {
  if (!graph.routes) return "null";
  const auto list = [&](auto member) {
    return json_list(*graph.routes, [member](const ChannelRoute& route) { return route.*member; });
  };
  return "{\"from_layer\": " + list(&ChannelRoute::from_layer) +
         ",\n    \"kernel\": " + list(&ChannelRoute::kernel) +
         ",\n    \"to_layer\": " + list(&ChannelRoute::to_layer) +
         ",\n    \"channel\": " + list(&ChannelRoute::channel) + '}';
}

}  // namespace

std::string_view PyramidGraph::class_name(int index) const {
  if (index < 0 || static_cast<std::size_t>(index) >= class_names.size()) return "";
  return class_names[static_cast<std::size_t>(index)];
}

void write_graph_json(const PyramidGraph& graph, const TextSink& write) {
  write("{\n  \"format\": \"cfp pyramid\",\n  \"schema_version\": " +
        json_number(kGraphSchemaVersion) + ",\n  \"run\": " + run_json(graph) +
        ",\n  \"method\": " + json_text(graph.pyramid().method) +
        ",\n  \"parameters\": " + parameters_json(graph) + ",\n  \"clip\": " + clip_json(graph) +
        ",\n  \"target\": " + target_json(graph) + ",\n  \"layers\": [");
  write_layers(graph, write);
  write("\n  ],\n  \"additions\": [");
  write_additions(graph, write);
  write("\n  ],\n  \"routes\": " + routes_json(graph) + "\n}\n");
}

}  // namespace cfp
