#include "results/store/pyramid_columns.h"

#include <optional>
#include <span>
#include <stdexcept>
#include <vector>

#include <fmt/format.h>

#include "results/store/layer_columns.h"
#include "results/store/layout.h"

namespace cfp::hdf5 {
namespace {

/// The datasets of one layer.
struct LayerColumns {
  std::string name;
  Group group;
  RelevanceColumns kernels, channels;
  std::optional<EdgeColumns> edges;
  std::optional<TubeColumns> tubes;

  void flush() {
    kernels.flush();
    channels.flush();
    if (edges) edges->flush();
    if (tubes) tubes->flush();
  }
};

/// The datasets of one residual addition.
struct AdditionColumns {
  std::string name;
  std::vector<std::string> addend_names;
  Group group;
  RelevanceColumns sum;
  std::vector<RelevanceColumns> addends;
};

/// @return a pointer to `part` of one layer or addition, for each target
template <class Get>
auto of_targets(const ClipResult& clip, Get get) {
  std::vector<decltype(&get(clip.pyramids.front()))> parts;
  parts.reserve(clip.pyramids.size());
  for (const Pyramid& pyramid : clip.pyramids) parts.push_back(&get(pyramid));
  return parts;
}

/// Writes /layers: what the groups of /pyramid and /tubes stand for.
void write_layers(const ColumnFile& file, hid_t root, const std::vector<PyramidLayer>& layers,
                  const std::vector<std::string>& groups) {
  const Group group = create_group(root, "layers", file.name);
  TextColumn name(file, group.get(), {"name", {}, "layers", "", "the checkpoint's name"});
  TextColumn group_name(file, group.get(),
                        {"group", {}, "layers", "", "name of its group in /pyramid and /tubes"});
  Column depth(file, group.get(),
               {"depth", {}, "layers", "layers", "layers on the longest path to the class"},
               Number::kInt32);
  Column kernels(file, group.get(), {"kernels", {}, "layers", "kernels", "of the layer's output"},
                 Number::kInt64);
  Column channels(file, group.get(),
                  {"channels", {}, "layers", "channels", "of the tensor that enters the layer"},
                  Number::kInt64);
  Column tube_shape(file, group.get(),
                    {"tube_shape", {3}, "layers, t-h-w", "cells", "of its tube; 0 0 0: no tube"},
                    Number::kInt64);
  for (std::size_t i = 0; i < layers.size(); ++i) {
    const PyramidLayer& layer = layers[i];
    const std::int32_t layer_depth = layer.depth;
    const std::int64_t sizes[] = {static_cast<std::int64_t>(layer.kernels.channels()),
                                  static_cast<std::int64_t>(layer.channels.channels())};
    const std::int64_t shape[] = {layer.tube.length, layer.tube.height, layer.tube.width};
    name.append(layer.name);
    group_name.append(groups[i]);
    depth.append(&layer_depth);
    kernels.append(&sizes[0]);
    channels.append(&sizes[1]);
    tube_shape.append(shape);
  }
  name.flush(), group_name.flush();
  for (Column* column : {&depth, &kernels, &channels, &tube_shape}) column->flush();
}

}  // namespace

struct PyramidColumns::Parts {
  std::size_t targets = 0;
  std::string method;
  Group pyramid, additions_group, tubes;
  std::vector<LayerColumns> layers;
  std::vector<AdditionColumns> additions;
};

PyramidColumns::~PyramidColumns() = default;

PyramidColumns::PyramidColumns(const ColumnFile& file, hid_t root, const ClipResult& first)
    : parts_(std::make_unique<Parts>()) {
  if (first.pyramids.empty()) {
    throw std::logic_error(fmt::format("clip {}: nothing is explained", first.clip_id));
  }
  const Pyramid& pyramid = first.pyramids.front();
  const hsize_t targets = first.pyramids.size();
  parts_->targets = targets;
  parts_->method = pyramid.method;
  parts_->pyramid = create_group(root, "pyramid", file.name);
  write_attribute(parts_->pyramid.get(), "method", pyramid.method, file.name);
  if (file.options.tubes) parts_->tubes = create_group(root, "tubes", file.name);

  std::vector<std::string> names;
  for (const PyramidLayer& layer : pyramid.layers) names.push_back(layer.name);
  const std::vector<std::string> groups = group_names(names);
  write_layers(file, root, pyramid.layers, groups);
  for (std::size_t i = 0; i < pyramid.layers.size(); ++i) {
    const PyramidLayer& layer = pyramid.layers[i];
    Group group = create_group(parts_->pyramid.get(), groups[i], file.name);
    write_attribute(group.get(), "layer", layer.name, file.name);
    RelevanceColumns kernels(file, group.get(), "kernels", "kernels", layer.kernels, targets);
    RelevanceColumns channels(file, group.get(), "channels", "channels", layer.channels, targets);
    LayerColumns& columns = parts_->layers.emplace_back(
        LayerColumns{layer.name, std::move(group), std::move(kernels), std::move(channels)});
    if (file.options.edges) columns.edges.emplace(file, columns.group.get(), layer, targets);
    if (file.options.tubes && !layer.tube.values.empty()) {
      columns.tubes.emplace(file, parts_->tubes.get(), groups[i], layer.tube, targets);
    }
  }

  parts_->additions_group = create_group(root, "additions", file.name);
  names.clear();
  for (const PyramidAddition& addition : pyramid.additions) names.push_back(addition.name);
  const std::vector<std::string> addition_groups = group_names(names);
  for (std::size_t i = 0; i < pyramid.additions.size(); ++i) {
    const PyramidAddition& addition = pyramid.additions[i];
    Group group = create_group(parts_->additions_group.get(), addition_groups[i], file.name);
    write_attribute(group.get(), "addition", addition.name, file.name);
    write_attribute(group.get(), "addends", static_cast<std::int32_t>(addition.addends.size()),
                    file.name);
    RelevanceColumns sum(file, group.get(), "sum", "channels", addition.sum, targets);
    AdditionColumns& columns = parts_->additions.emplace_back(AdditionColumns{
        addition.name, addition.addend_names, std::move(group), std::move(sum), {}});
    for (std::size_t a = 0; a < addition.addends.size(); ++a) {
      const std::string addend = fmt::format("addend_{}", a);
      columns.addends.emplace_back(file, columns.group.get(), addend, "channels",
                                   addition.addends[a], targets);
      columns.addends.back().name_node(addition.addend_names.at(a), file.name);
    }
  }
  check_fits(first);
}

void PyramidColumns::check_fits(const ClipResult& clip) const {
  require_same(clip.pyramids.size(), parts_->targets, clip, "number of targets");
  for (const Pyramid& pyramid : clip.pyramids) {
    if (pyramid.method != parts_->method) {
      throw std::logic_error(fmt::format("clip {}: explained by {}, the part's first clip by {}",
                                         clip.clip_id, pyramid.method, parts_->method));
    }
    require_same(pyramid.layers.size(), parts_->layers.size(), clip, "number of layers");
    require_same(pyramid.additions.size(), parts_->additions.size(), clip, "number of additions");
    for (std::size_t i = 0; i < parts_->layers.size(); ++i) {
      const LayerColumns& columns = parts_->layers[i];
      const PyramidLayer& layer = pyramid.layers[i];
      if (layer.name != columns.name) {
        throw std::logic_error(fmt::format("clip {}: layer {} is {}, the part's first clip has {}",
                                           clip.clip_id, i, layer.name, columns.name));
      }
      columns.kernels.check_fits(layer.kernels, clip, layer.name);
      columns.channels.check_fits(layer.channels, clip, layer.name);
      if (columns.tubes && !columns.tubes->fits(layer.tube)) {
        throw std::logic_error(fmt::format(
            "clip {}: tube of layer {} is {}x{}x{}, of another size than the part's first clip's",
            clip.clip_id, layer.name, layer.tube.length, layer.tube.height, layer.tube.width));
      }
    }
    for (std::size_t i = 0; i < parts_->additions.size(); ++i) {
      const AdditionColumns& columns = parts_->additions[i];
      const PyramidAddition& addition = pyramid.additions[i];
      if (addition.name != columns.name || addition.addend_names != columns.addend_names) {
        throw std::logic_error(fmt::format("clip {}: addition {} is {}, the first clip has {}",
                                           clip.clip_id, i, addition.name, columns.name));
      }
      columns.sum.check_fits(addition.sum, clip, addition.name);
      require_same(addition.addends.size(), columns.addends.size(), clip, "number of addends");
      for (std::size_t a = 0; a < columns.addends.size(); ++a) {
        columns.addends[a].check_fits(addition.addends[a], clip, addition.name);
      }
    }
  }
}

void PyramidColumns::append(const ClipResult& clip) {
  for (std::size_t i = 0; i < parts_->layers.size(); ++i) {
    const auto layer = [i](const Pyramid& p) -> const PyramidLayer& { return p.layers[i]; };
    LayerColumns& columns = parts_->layers[i];
    columns.kernels.append(of_targets(
        clip, [&](const Pyramid& p) -> const auto& { return layer(p).kernels; }));
    columns.channels.append(of_targets(
        clip, [&](const Pyramid& p) -> const auto& { return layer(p).channels; }));
    if (columns.edges) {
      columns.edges->append(of_targets(
          clip, [&](const Pyramid& p) -> const auto& { return layer(p).edges; }));
    }
    if (columns.tubes) {
      columns.tubes->append(of_targets(
          clip, [&](const Pyramid& p) -> const auto& { return layer(p).tube; }));
    }
  }
  for (std::size_t i = 0; i < parts_->additions.size(); ++i) {
    AdditionColumns& columns = parts_->additions[i];
    columns.sum.append(of_targets(
        clip, [i](const Pyramid& p) -> const auto& { return p.additions[i].sum; }));
    for (std::size_t a = 0; a < columns.addends.size(); ++a) {
      columns.addends[a].append(of_targets(
          clip, [ i, a ](const Pyramid& p) -> const auto& { return p.additions[i].addends[a]; }));
    }
  }
}

void PyramidColumns::flush() {
  for (LayerColumns& columns : parts_->layers) columns.flush();
  for (AdditionColumns& columns : parts_->additions) {
    columns.sum.flush();
    for (RelevanceColumns& addend : columns.addends) addend.flush();
  }
}

}  // namespace cfp::hdf5
