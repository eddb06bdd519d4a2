#include "pipeline/run/export_graph.h"

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "pipeline/config/scalars.h"
#include "pipeline/run/prepare.h"
#include "pipeline/run/work_dir.h"
#include "results/report/file_name.h"
#include "stages/core/errors.h"
#include "stages/core/output_file.h"
#include "stages/pyramid/routing.h"

namespace cfp {
namespace fs = std::filesystem;
namespace {

nlohmann::json json_of(const ConfigTree& tree) {
  if (tree.is_null()) return nullptr;
  if (tree.kind == ConfigTree::Kind::kList) {
    nlohmann::json list = nlohmann::json::array();
    for (const ConfigTree& item : tree.items) list.push_back(json_of(item));
    return list;
  }
  if (!tree.quoted) {
    if (const auto value = scalar_to_boolean(tree.scalar)) return *value;
    if (const auto value = scalar_to_integer(tree.scalar)) return *value;
    if (const auto value = scalar_to_real(tree.scalar)) return *value;
  }
  return tree.scalar;
}

/// The section `explain` of the config, and which frames the clip is made of.
std::vector<std::pair<std::string, std::string>> parameters(const ConfigValues& values) {
  std::vector<std::pair<std::string, std::string>> all;
  for (const KeySpec& key : config_schema()) {
    const std::string_view section = section_name(key.path);
    if (section != "explain" && section != "sampling" && section != "preprocess") continue;
    all.emplace_back(key.path, json_of(values.tree(key.path))
                                   .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
  }
  return all;
}

/// Follows the channels of a network down to the layers of a pyramid that made them.
class RouteFinder {
 public:
  RouteFinder(const NetworkGraph& graph, const Pyramid& pyramid) : graph_(graph) {
    for (std::size_t l = 0; l < pyramid.layers.size(); ++l) {
      const auto node = std::ranges::find(graph.nodes(), pyramid.layers[l].name, &Node::name);
      if (node == graph.nodes().end()) {
        throw SystemError(fmt::format("the network has no layer '{}', which the run explained",
                                      pyramid.layers[l].name));
      }
      const auto id = static_cast<NodeId>(node - graph.nodes().begin());
      layer_of_node_[id] = l;
      node_of_layer_.push_back(id);
    }
  }

  /// @return sorted by reader, channel, maker, kernel; none twice
  std::vector<ChannelRoute> find() {
    std::vector<ChannelRoute> routes;
    for (std::size_t reader = 0; reader < node_of_layer_.size(); ++reader) {
      const NodeId entering = graph_.node(node_of_layer_[reader]).inputs.at(0);
      for (int c = 0; c < graph_.channels(entering); ++c) {
        for (const auto& [layer, kernel] : makers(entering, c)) {
          routes.push_back({layer, kernel, reader, static_cast<std::uint32_t>(c)});
        }
      }
    }
    return routes;
  }

 private:
  using Makers = std::set<std::pair<std::size_t, std::uint32_t>>;

  const Makers& makers(NodeId id, int channel) {
    const auto key = std::pair(id, channel);
    if (const auto known = known_.find(key); known != known_.end()) return known->second;
    Makers found;
    if (const auto layer = layer_of_node_.find(id); layer != layer_of_node_.end()) {
      found.emplace(layer->second, static_cast<std::uint32_t>(channel));
    } else if (!is_layer(graph_.node(id))) {  // a layer that the run did not explain ends the way
      for (const ChannelSource& source : route_channel(graph_, id, channel)) {
        const Makers& below = makers(source.node, source.channel);
        found.insert(below.begin(), below.end());
      }
    }
    return known_.emplace(key, std::move(found)).first->second;
  }

  const NetworkGraph& graph_;
  std::map<NodeId, std::size_t> layer_of_node_;
  std::vector<NodeId> node_of_layer_;
  std::map<std::pair<NodeId, int>, Makers> known_;
};

/// The part does not say how the network joins its layers: the network itself does.
std::vector<ChannelRoute> routes_of(const FinishedRun& run, const Pyramid& pyramid) {
  ResolvedConfig config = run.config();
  PreprocessOptions preprocess;
  try {
    const Network network = load_for_clips(config, preprocess);
    const std::string hash = fmt::format("{:016x}", network.weights_hash);
    if (hash != run.header().weights_hash) {
      throw SystemError(fmt::format("it has other weights than in the run (hash {}, not {})", hash,
                                    run.header().weights_hash));
    }
    return RouteFinder(network.graph, pyramid).find();
  } catch (const std::runtime_error& error) {
    // Whatever it was, the same way leads past it.
    const std::string text = fmt::format(
        "which kernel makes which channel is read from the network: {}; --no-routes leaves it out",
        error.what());
    if (dynamic_cast<const ConfigError*>(&error) != nullptr) throw ConfigError(text);
    throw SystemError(text);
  }
}

StoredClip find_view(const FinishedRun& run, const std::string& clip_id, int view) {
  const std::vector<StoredClip> views = run.find({clip_id});
  for (const StoredClip& stored : views) {
    if (run.read(stored).view == view) return stored;
  }
  throw ConfigError(fmt::format("view {}: clip '{}' has {} view{}, counted from 0", view, clip_id,
                                views.size(), views.size() == 1 ? "" : "s"));
}

}  // namespace

void export_graph(const FinishedRun& run, const std::string& clip_id,
                  const GraphExportOptions& options, const fs::path& file) {
  const ClipResult clip = run.read(find_view(run, clip_id, options.view));
  if (options.target < 0 || static_cast<std::size_t>(options.target) >= clip.pyramids.size()) {
    throw ConfigError(fmt::format("target {}: the run explains {} target{} a clip, counted from 0",
                                  options.target, clip.pyramids.size(),
                                  clip.pyramids.size() == 1 ? "" : "s"));
  }
  const PartHeader& header = run.header();
  PyramidGraph graph{.clip = &clip,
                     .target = static_cast<std::size_t>(options.target),
                     .has_edges = run.has_edges(),
                     .run = header.name,
                     .network = header.network,
                     .preset = header.preset,
                     .weights_hash = header.weights_hash,
                     .config_hash = header.config_hash,
                     .random_weights = header.random_weights,
                     .class_names = header.class_names,
                     .parameters = parameters(run.config().values)};
  if (options.routes) graph.routes = routes_of(run, graph.pyramid());

  if (file.has_parent_path()) {
    std::error_code error;
    fs::create_directories(file.parent_path(), error);
    if (error) {
      throw SystemError(fmt::format("cannot make the folder '{}': {}", file.parent_path().string(),
                                    error.message()));
    }
  }
  OutputFile out(file);
  const TextSink write = [&out](std::string_view text) { out.write(text); };
  if (options.format == GraphFormat::kJson) {
    write_graph_json(graph, write);
  } else {
    write_graphml(graph, options.nodes, write);
  }
  out.finish();
}

fs::path usual_graph_file(const FinishedRun& run, const std::string& clip_id,
                          const GraphExportOptions& options) {
  std::string name = safe_file_name(clip_id);
  if (options.view > 0) name += fmt::format("~view{}", options.view);
  if (options.target > 0) name += fmt::format("~target{}", options.target);
  return run.folder() / kGraphsName /
         (name + (options.format == GraphFormat::kJson ? ".json" : ".graphml"));
}

}  // namespace cfp
