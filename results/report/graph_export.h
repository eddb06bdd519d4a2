// The pyramid of one clip as a file for other programs: JSON, and GraphML for viewers of graphs.
// docs/results.md has both layouts.
//
//   OutputFile file("clip.graphml");
//   write_graphml(pyramid_graph, {}, [&](std::string_view text) { file.write(text); });
//   file.finish();
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "stages/core/pyramid.h"

namespace cfp {

/// Version of the JSON layout that docs/results.md describes.
inline constexpr int kGraphSchemaVersion = 1;

/// Kernel `kernel` of one layer makes, alone or with others, channel `channel` that enters another.
/// Layers are indices into Pyramid::layers.
struct ChannelRoute {
  std::size_t from_layer = 0;
  std::uint32_t kernel = 0;
  std::size_t to_layer = 0;
  std::uint32_t channel = 0;
};

/// What is exported: one target of one clip, and what its run was.
struct PyramidGraph {
  const ClipResult* clip = nullptr;  ///< not null
  std::size_t target = 0;            ///< index into clip->pyramids
  bool has_edges = true;             ///< false: the run did not keep edges

  std::string run, network, preset, weights_hash, config_hash;  ///< as in a part's header
  bool random_weights = false;
  std::vector<std::string> class_names;  ///< in the order of the logits; may be empty
  /// Keys of the explanation and their values as JSON, in order.
  std::vector<std::pair<std::string, std::string>> parameters;
  /// Which kernels made the channels that enter the layers; absent: not asked for.
  std::optional<std::vector<ChannelRoute>> routes;

  const Pyramid& pyramid() const { return clip->pyramids.at(target); }
  /// @return the name of a class; empty where it is not known
  std::string_view class_name(int index) const;
};

/// Which kernels and channels become nodes of GraphML; edges follow their ends.
enum class GraphNodes {
  kReached,  ///< those that a chain of edges leads to from the class
  kFound,    ///< those that are selected
  kAll,
};

/// Takes the text piece by piece.
using TextSink = std::function<void(std::string_view)>;

/// Writes everything known of the target, whatever was found. Numbers that are not finite become
/// null.
/// @throws std::out_of_range there is no such target
void write_graph_json(const PyramidGraph& graph, const TextSink& write);

/// Writes a directed graph: a node for each kernel and each channel that enters a layer, an edge
/// from each channel to the kernels that it speaks for, and one along each route.
/// @throws std::out_of_range there is no such target
void write_graphml(const PyramidGraph& graph, GraphNodes nodes, const TextSink& write);

}  // namespace cfp
