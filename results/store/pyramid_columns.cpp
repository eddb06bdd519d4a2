#include "results/store/pyramid_columns.h"

#include <fmt/format.h>

#include <array>
#include <optional>
#include <span>
#include <stdexcept>
#include <vector>

#include "results/store/column.h"
#include "results/store/layout.h"

namespace cfp::hdf5 {
namespace {

const std::vector<float>& floats(const ChannelRelevance& relevance, RelevanceField field) {
  switch (field) {
    case RelevanceField::kPositive: return relevance.positive;
    case RelevanceField::kNegative: return relevance.negative;
    default: return relevance.score;
  }
}

const std::vector<std::uint8_t>& flags(const ChannelRelevance& relevance, RelevanceField field) {
  return field == RelevanceField::kFound ? relevance.found : relevance.reached;
}

bool is_flag(RelevanceField field) {
  return field == RelevanceField::kFound || field == RelevanceField::kReached;
}

std::size_t size_of_field(const ChannelRelevance& relevance, RelevanceField field) {
  return is_flag(field) ? flags(relevance, field).size() : floats(relevance, field).size();
}

/// Throws where something of a clip differs from the first clip's.
void require_same(std::size_t have, std::size_t want, const ClipResult& clip,
                  std::string_view what) {
  if (have == want) return;
  throw std::logic_error(fmt::format("clip {} (row {}): {} is {}, the part's first clip has {}",
                                     clip.clip_id, clip.row, what, have, want));
}

/// The datasets of one ChannelRelevance. What the method leaves empty has no dataset.
class RelevanceColumns {
 public:
  RelevanceColumns(const std::string& file, hid_t parent, const std::string& name,
                   std::string_view axis, const ChannelRelevance& first, hsize_t targets)
      : name_(name), group_(create_group(parent, name, file)) {
    for (const RelevanceField field : kRelevanceFields) {
      const std::size_t channels = size_of_field(first, field);
      sizes_[static_cast<std::size_t>(field)] = channels;
      if (channels == 0) continue;
      if (channels != first.channels()) {
        throw std::logic_error(fmt::format("{}: {} {} has {} entries, its score {}", file, name,
                                           name_of(field), channels, first.channels()));
      }
      columns_[static_cast<std::size_t>(field)].emplace(
          file, group_.get(), relevance_spec(field, targets, channels, axis),
          is_flag(field) ? Number::kUInt8 : Number::kFloat32);
    }
  }

  /// Says which node made this addend.
  void name_node(const std::string& node, const std::string& file) {
    write_attribute(group_.get(), "node", node, file);
  }

  void check_fits(const ChannelRelevance& relevance, const ClipResult& clip,
                  const std::string& owner) const {
    for (const RelevanceField field : kRelevanceFields) {
      const std::size_t have = size_of_field(relevance, field);
      const std::size_t want = sizes_[static_cast<std::size_t>(field)];
      if (have != want) {
        require_same(have, want, clip,
                     fmt::format("size of {} {} {}", owner, name_, name_of(field)));
      }
    }
  }

  /// @param targets  the clip's targets in order
  void append(std::span<const ChannelRelevance* const> targets) {
    for (const RelevanceField field : kRelevanceFields) {
      std::optional<Column>& column = columns_[static_cast<std::size_t>(field)];
      if (!column) continue;
      if (is_flag(field)) {
        append_joined<std::uint8_t>(*column, targets,
                                    [&](const auto& r) -> const auto& { return flags(r, field); });
      } else {
        append_joined<float>(*column, targets,
                             [&](const auto& r) -> const auto& { return floats(r, field); });
      }
    }
  }

  void flush() {
    for (std::optional<Column>& column : columns_) {
      if (column) column->flush();
    }
  }

 private:
  template <class T, class Get>
  static void append_joined(Column& column, std::span<const ChannelRelevance* const> targets,
                            Get get) {
    if (targets.size() == 1) return column.append(get(*targets[0]).data());
    std::vector<T> row;
    for (const ChannelRelevance* target : targets) {
      const std::vector<T>& values = get(*target);
      row.insert(row.end(), values.begin(), values.end());
    }
    column.append(row.data());
  }

  std::string name_;
  Group group_;
  std::array<std::size_t, 5> sizes_{};
  std::array<std::optional<Column>, 5> columns_;
};

/// The edges of one layer: those of all clips behind one another, and where each clip's lie.
class EdgeColumns {
 public:
  EdgeColumns(const std::string& file, hid_t parent, const PyramidLayer& first, hsize_t targets)
      : group_(create_group(parent, "edges", file)),
        range_(file, group_.get(),
               {"range", {targets, 2}, "clips, targets, begin and end", "edges",
                "edges begin..end-1 of this layer belong to this clip and target"},
               Number::kUInt64),
        kernel_(file, group_.get(),
                {"kernel", {}, "edges", "index", "kernel of the layer that the edge leads to"},
                Number::kUInt32, index_type(first.kernels.channels())),
        channel_(file, group_.get(),
                 {"channel", {}, "edges", "index", "channel of the layer's input it comes from"},
                 Number::kUInt32, index_type(first.channels.channels())),
        score_(file, group_.get(),
               {"score", {}, "edges", "unit of the target", "E: share of the kernel's relevance"},
               Number::kFloat32) {}

  void append(std::span<const std::vector<Edge>* const> targets) {
    std::vector<std::uint64_t> range;
    for (const std::vector<Edge>* edges : targets) {
      kernels_.clear(), channels_.clear(), scores_.clear();
      for (const Edge& edge : *edges) {
        kernels_.push_back(edge.kernel);
        channels_.push_back(edge.channel);
        scores_.push_back(edge.score);
      }
      range.push_back(kernel_.rows());
      kernel_.append(kernels_.data(), kernels_.size());
      channel_.append(channels_.data(), channels_.size());
      score_.append(scores_.data(), scores_.size());
      range.push_back(kernel_.rows());
    }
    range_.append(range.data());
  }

  void flush() {
    for (Column* column : {&range_, &kernel_, &channel_, &score_}) column->flush();
  }

 private:
  static Number index_type(std::size_t count) {
    return count <= 65536 ? Number::kUInt16 : Number::kUInt32;
  }

  Group group_;
  Column range_, kernel_, channel_, score_;
  std::vector<std::uint32_t> kernels_, channels_;
  std::vector<float> scores_;
};

/// The tubes of one layer at its own resolution.
class TubeColumns {
 public:
  TubeColumns(const std::string& file, hid_t parent, const std::string& name, const Tube& first,
              hsize_t targets)
      : length_(first.length), height_(first.height), width_(first.width),
        group_(create_group(parent, name, file)),
        values_(file, group_.get(),
                {"values",
                 {targets, static_cast<hsize_t>(length_), static_cast<hsize_t>(height_),
                  static_cast<hsize_t>(width_)},
                 "clips, targets, t, h, w", "share of the relevance",
                 "saliency at the tensor that enters the layer, at its own resolution"},
                Number::kFloat32),
        minimum_(file, group_.get(),
                 {"minimum", {targets}, "clips, targets", "as values", "smallest of values"},
                 Number::kFloat32),
        maximum_(file, group_.get(),
                 {"maximum", {targets}, "clips, targets", "as values",
                  "largest of values; equal to minimum: a constant tube"},
                 Number::kFloat32) {}

  bool fits(const Tube& tube) const {
    return tube.length == length_ && tube.height == height_ && tube.width == width_ &&
           tube.values.size() == static_cast<std::size_t>(length_ * height_ * width_);
  }

  void append(std::span<const Tube* const> targets) {
    std::vector<float> values, minima, maxima;
    for (const Tube* tube : targets) {
      values.insert(values.end(), tube->values.begin(), tube->values.end());
      minima.push_back(tube->minimum);
      maxima.push_back(tube->maximum);
    }
    values_.append(values.data());
    minimum_.append(minima.data());
    maximum_.append(maxima.data());
  }

  void flush() {
    for (Column* column : {&values_, &minimum_, &maximum_}) column->flush();
  }

 private:
  std::int64_t length_, height_, width_;
  Group group_;
  Column values_, minimum_, maximum_;
};

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
void write_layers(const std::string& file, hid_t root, const std::vector<PyramidLayer>& layers,
                  const std::vector<std::string>& groups) {
  const Group group = create_group(root, "layers", file);
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

PyramidColumns::PyramidColumns(const std::string& file, hid_t root, const ClipResult& first,
                               StoreOptions options)
    : parts_(std::make_unique<Parts>()) {
  if (first.pyramids.empty()) {
    throw std::logic_error(fmt::format("clip {}: nothing is explained", first.clip_id));
  }
  const Pyramid& pyramid = first.pyramids.front();
  const hsize_t targets = first.pyramids.size();
  parts_->targets = targets;
  parts_->method = pyramid.method;
  parts_->pyramid = create_group(root, "pyramid", file);
  write_attribute(parts_->pyramid.get(), "method", pyramid.method, file);
  if (options.tubes) parts_->tubes = create_group(root, "tubes", file);

  std::vector<std::string> names;
  for (const PyramidLayer& layer : pyramid.layers) names.push_back(layer.name);
  const std::vector<std::string> groups = group_names(names);
  write_layers(file, root, pyramid.layers, groups);
  for (std::size_t i = 0; i < pyramid.layers.size(); ++i) {
    const PyramidLayer& layer = pyramid.layers[i];
    Group group = create_group(parts_->pyramid.get(), groups[i], file);
    write_attribute(group.get(), "layer", layer.name, file);
    RelevanceColumns kernels(file, group.get(), "kernels", "kernels", layer.kernels, targets);
    RelevanceColumns channels(file, group.get(), "channels", "channels", layer.channels, targets);
    LayerColumns& columns = parts_->layers.emplace_back(
        LayerColumns{layer.name, std::move(group), std::move(kernels), std::move(channels)});
    if (options.edges) columns.edges.emplace(file, columns.group.get(), layer, targets);
    if (options.tubes && !layer.tube.values.empty()) {
      columns.tubes.emplace(file, parts_->tubes.get(), groups[i], layer.tube, targets);
    }
  }

  parts_->additions_group = create_group(root, "additions", file);
  names.clear();
  for (const PyramidAddition& addition : pyramid.additions) names.push_back(addition.name);
  const std::vector<std::string> addition_groups = group_names(names);
  for (std::size_t i = 0; i < pyramid.additions.size(); ++i) {
    const PyramidAddition& addition = pyramid.additions[i];
    Group group = create_group(parts_->additions_group.get(), addition_groups[i], file);
    write_attribute(group.get(), "addition", addition.name, file);
    write_attribute(group.get(), "addends", static_cast<std::int32_t>(addition.addends.size()),
                    file);
    RelevanceColumns sum(file, group.get(), "sum", "channels", addition.sum, targets);
    AdditionColumns& columns = parts_->additions.emplace_back(AdditionColumns{
        addition.name, addition.addend_names, std::move(group), std::move(sum), {}});
    for (std::size_t a = 0; a < addition.addends.size(); ++a) {
      const std::string addend = fmt::format("addend_{}", a);
      columns.addends.emplace_back(file, columns.group.get(), addend, "channels",
                                   addition.addends[a], targets);
      columns.addends.back().name_node(addition.addend_names.at(a), file);
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
    columns.kernels.append(
        of_targets(clip, [&](const Pyramid& p) -> const auto& { return layer(p).kernels; }));
    columns.channels.append(
        of_targets(clip, [&](const Pyramid& p) -> const auto& { return layer(p).channels; }));
    if (columns.edges) {
      columns.edges->append(
          of_targets(clip, [&](const Pyramid& p) -> const auto& { return layer(p).edges; }));
    }
    if (columns.tubes) {
      columns.tubes->append(
          of_targets(clip, [&](const Pyramid& p) -> const auto& { return layer(p).tube; }));
    }
  }
  for (std::size_t i = 0; i < parts_->additions.size(); ++i) {
    AdditionColumns& columns = parts_->additions[i];
    columns.sum.append(
        of_targets(clip, [i](const Pyramid& p) -> const auto& { return p.additions[i].sum; }));
    for (std::size_t a = 0; a < columns.addends.size(); ++a) {
      columns.addends[a].append(of_targets(
          clip, [i, a](const Pyramid& p) -> const auto& { return p.additions[i].addends[a]; }));
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
