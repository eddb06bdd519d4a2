#include "results/store/pyramid_reader.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "results/store/layout.h"
#include "results/store/steps.h"
#include "stages/core/errors.h"

namespace cfp::hdf5 {
namespace {

constexpr std::uint64_t kMaxNames = 1'000'000;
constexpr std::uint64_t kMaxChannels = std::uint64_t{1} << 24;  ///< of one tensor
constexpr std::uint64_t kMaxEdges = std::uint64_t{1} << 27;     ///< of one layer of one clip

}  // namespace

/// Throws where a dataset has another number of rows than the part has clips.
const ColumnReader& with_rows(const ColumnReader& column, std::uint64_t rows) {
  if (column.rows() != rows) {
    throw SystemError(
        fmt::format("{}: {} rows, the part has {}", column.item(), column.rows(), rows));
  }
  return column;
}

void require_shape(const ColumnReader& column, const std::vector<hsize_t>& shape) {
  if (column.row_shape() != shape) {
    throw SystemError(column.item() + ": a row has another shape than /layers and /targets say");
  }
}

std::vector<std::string> read_all_texts(const ColumnReader& column) {
  if (column.rows() > kMaxNames) {
    throw SystemError(fmt::format("{}: {} names", column.item(), column.rows()));
  }
  std::vector<std::string> texts;
  for (std::uint64_t i = 0; i < column.rows(); ++i) texts.push_back(column.read_texts(i).at(0));
  return texts;
}

namespace {

/// The vectors of one ChannelRelevance of every clip; what the method left empty is absent.
class RelevanceReader {
 public:
  RelevanceReader(const std::string& file, hid_t parent, const std::string& name,
                  std::uint64_t clips, std::uint64_t targets, ReadGuard& guard) {
    const Group group = open_group(parent, name, file);
    std::optional<hsize_t> channels;
    for (const RelevanceField field : kRelevanceFields) {
      const std::string column(name_of(field));
      if (!contains(group.get(), column, file)) continue;
      ColumnReader& reader =
          columns_[static_cast<std::size_t>(field)].emplace(file, group.get(), column, 2, guard);
      with_rows(reader, clips);
      channels = channels.value_or(reader.row_shape()[1]);
      require_shape(reader, {targets, *channels});
    }
  }

  /// @return one ChannelRelevance a target
  std::vector<ChannelRelevance> read(std::uint64_t index, std::size_t targets) const {
    std::vector<ChannelRelevance> all(targets);
    fill<float>(RelevanceField::kPositive, index, all, &ChannelRelevance::positive);
    fill<float>(RelevanceField::kNegative, index, all, &ChannelRelevance::negative);
    fill<float>(RelevanceField::kScore, index, all, &ChannelRelevance::score);
    fill<std::uint8_t>(RelevanceField::kFound, index, all, &ChannelRelevance::found);
    fill<std::uint8_t>(RelevanceField::kReached, index, all, &ChannelRelevance::reached);
    return all;
  }

 private:
  template <class T>
  void fill(RelevanceField field, std::uint64_t index, std::vector<ChannelRelevance>& all,
            std::vector<T> ChannelRelevance::*member) const {
    const std::optional<ColumnReader>& column = columns_[static_cast<std::size_t>(field)];
    if (!column) return;
    const std::vector<T> row = column->read<T>(index);
    const auto channels = static_cast<std::ptrdiff_t>(row.size() / all.size());
    for (std::size_t k = 0; k < all.size(); ++k) {
      const auto begin = row.begin() + static_cast<std::ptrdiff_t>(k) * channels;
      (all[k].*member).assign(begin, begin + channels);
    }
  }

  std::array<std::optional<ColumnReader>, 5> columns_;
};

/// The edges of one layer.
class EdgeReader {
 public:
  EdgeReader(const std::string& file, hid_t layer, std::uint64_t clips, std::uint64_t targets,
             ReadGuard& guard)
      : EdgeReader(file, open_group(layer, "edges", file), guard) {
    require_shape(with_rows(range_, clips), {targets, 2});
    with_rows(channel_, kernel_.rows());
    with_rows(score_, kernel_.rows());
    if (steps_ > 0) {
      largest_.emplace(file, open_group(layer, "edges", file).get(), "largest", 1, guard);
      require_shape(with_rows(*largest_, clips), {targets});
    }
  }

  /// @param kernels, channels  of the layer: an edge joins two of them, and no two edges the same
  std::vector<Edge> read(std::uint64_t index, std::size_t target, std::uint64_t kernels,
                         std::uint64_t channels) const {
    const std::vector<std::uint64_t> range = range_.read<std::uint64_t>(index);
    const std::uint64_t begin = range[2 * target], end = range[2 * target + 1];
    if (begin > end || end > kernel_.rows() ||
        end - begin > std::min(kernels * channels, kMaxEdges)) {
      throw SystemError(fmt::format("{}: row {} names edges {} to {} of {}", range_.item(), index,
                                    begin, end, kernel_.rows()));
    }
    const auto kernel = kernel_.read<std::uint32_t>(begin, end - begin);
    const auto channel = channel_.read<std::uint32_t>(begin, end - begin);
    auto score = score_.read<float>(begin, end - begin);
    if (largest_) {
      const Steps steps(0, largest_->read<float>(index)[target], steps_);
      for (float& value : score) value = steps.from_stored(value);
    }
    std::vector<Edge> edges(kernel.size());
    for (std::size_t i = 0; i < edges.size(); ++i) {
      if (kernel[i] >= kernels || channel[i] >= channels) {
        throw SystemError(fmt::format("{}: edge {} joins kernel {} of {} to channel {} of {}",
                                      kernel_.item(), begin + i, kernel[i], kernels, channel[i],
                                      channels));
      }
      edges[i] = {kernel[i], channel[i], score[i]};
    }
    return edges;
  }

 private:
  EdgeReader(const std::string& file, Group group, ReadGuard& guard)
      : range_(file, group.get(), "range", 2, guard),
        kernel_(file, group.get(), "kernel", 0, guard),
        channel_(file, group.get(), "channel", 0, guard),
        score_(file, group.get(), "score", 0, guard),
        steps_(score_.steps()) {}

  ColumnReader range_, kernel_, channel_, score_;
  int steps_;
  std::optional<ColumnReader> largest_;  ///< where scores are steps
};

/// The tubes of one layer.
class TubeReader {
 public:
  TubeReader(const std::string& file, hid_t tubes, const std::string& group_name,
             std::uint64_t clips, std::uint64_t targets, ReadGuard& guard)
      : TubeReader(file, open_group(tubes, group_name, file), guard) {
    const std::vector<hsize_t>& shape = with_rows(values_, clips).row_shape();
    require_shape(values_, {targets, shape[1], shape[2], shape[3]});
    require_shape(with_rows(minimum_, clips), {targets});
    require_shape(with_rows(maximum_, clips), {targets});
  }

  Tube read(std::uint64_t index, std::size_t target) const {
    const std::vector<hsize_t>& shape = values_.row_shape();
    const std::vector<float> row = values_.read<float>(index);
    const std::size_t cells = row.size() / shape[0];
    const auto begin = row.begin() + static_cast<std::ptrdiff_t>(target * cells);
    Tube tube{
        static_cast<std::int64_t>(shape[1]), static_cast<std::int64_t>(shape[2]),
        static_cast<std::int64_t>(shape[3]), {begin, begin + static_cast<std::ptrdiff_t>(cells)},
        minimum_.read<float>(index)[target], maximum_.read<float>(index)[target]};
    if (steps_ > 0) {
      const Steps steps(tube.minimum, tube.maximum, steps_);
      for (float& value : tube.values) value = steps.from_stored(value);
    }
    return tube;
  }

 private:
  TubeReader(const std::string& file, Group group, ReadGuard& guard)
      : values_(file, group.get(), "values", 4, guard),
        minimum_(file, group.get(), "minimum", 1, guard),
        maximum_(file, group.get(), "maximum", 1, guard),
        steps_(values_.steps()) {}

  ColumnReader values_, minimum_, maximum_;
  int steps_;
};

struct LayerReader {
  std::string name;
  std::int32_t depth = 0;
  std::uint64_t kernel_count = 0, channel_count = 0;
  RelevanceReader kernels, channels;
  std::optional<EdgeReader> edges;
  std::optional<TubeReader> tubes;
};

struct AdditionReader {
  std::string name;
  std::vector<std::string> addend_names;
  RelevanceReader sum;
  std::vector<RelevanceReader> addends;
};

}  // namespace

struct PyramidReader::Parts {
  std::string file;
  std::uint64_t clips = 0, targets = 0;
  std::string method;
  std::vector<LayerReader> layers;
  std::vector<AdditionReader> additions;

  void open_layers(hid_t root, ReadGuard& guard);
  void open_additions(hid_t root, ReadGuard& guard);
};

void PyramidReader::Parts::open_layers(hid_t root, ReadGuard& guard) {
  const Group group = open_group(root, "layers", file);
  const auto number = [&](const char* name, std::size_t rank = 0) {
    return ColumnReader(file + ": layers", group.get(), name, rank, guard);
  };
  const std::vector<std::string> names = read_all_texts(number("name"));
  const std::vector<std::string> groups = read_all_texts(number("group"));
  const ColumnReader depth = number("depth"), kernels = number("kernels"),
                     channels = number("channels");
  if (names.size() != groups.size()) {
    throw SystemError(fmt::format("{}: {} layers in {} groups", file, names.size(), groups.size()));
  }
  const Group pyramid = open_group(root, "pyramid", file);
  method = read_string_attribute(pyramid.get(), "method", file);
  const bool tubes_stored = contains(root, "tubes", file);
  const Group tubes = tubes_stored ? open_group(root, "tubes", file) : Group();
  for (std::size_t i = 0; i < names.size(); ++i) {
    const std::string where = fmt::format("{}: pyramid/{}", file, groups[i]);
    const Group layer = open_group(pyramid.get(), groups[i], where);
    LayerReader& reader = layers.emplace_back(
        LayerReader{names[i], depth.read<std::int32_t>(i).at(0),
                    kernels.read<std::uint64_t>(i).at(0), channels.read<std::uint64_t>(i).at(0),
                    RelevanceReader(where, layer.get(), "kernels", clips, targets, guard),
                    RelevanceReader(where, layer.get(), "channels", clips, targets, guard)});
    if (reader.kernel_count > kMaxChannels || reader.channel_count > kMaxChannels) {
      throw SystemError(fmt::format("{}: {} kernels and {} channels", where, reader.kernel_count,
                                    reader.channel_count));
    }
    if (contains(layer.get(), "edges", where)) {
      reader.edges.emplace(where, layer.get(), clips, targets, guard);
    }
    if (tubes_stored && contains(tubes.get(), groups[i], where)) {
      reader.tubes.emplace(file + ": tubes/" + groups[i], tubes.get(), groups[i], clips, targets,
                           guard);
    }
  }
}

void PyramidReader::Parts::open_additions(hid_t root, ReadGuard& guard) {
  const Group group = open_group(root, "additions", file);
  std::vector<std::string> names;
  const auto collect = [](hid_t, const char* name, const H5L_info_t*, void* out) -> herr_t {
    static_cast<std::vector<std::string>*>(out)->emplace_back(name);
    return 0;
  };
  hsize_t position = 0;
  check(H5Literate(group.get(), H5_INDEX_CRT_ORDER, H5_ITER_INC, &position, collect, &names), file,
        "cannot list the additions");
  for (const std::string& name : names) {
    const std::string where = fmt::format("{}: additions/{}", file, name);
    const Group addition = open_group(group.get(), name, where);
    AdditionReader& reader = additions.emplace_back(
        AdditionReader{read_string_attribute(addition.get(), "addition", where),
                       {},
                       RelevanceReader(where, addition.get(), "sum", clips, targets, guard),
                       {}});
    const std::int32_t count = read_int_attribute(addition.get(), "addends", where);
    for (std::int32_t a = 0; a < count; ++a) {
      const std::string addend = fmt::format("addend_{}", a);
      reader.addends.emplace_back(where, addition.get(), addend, clips, targets, guard);
      const Group addend_group = open_group(addition.get(), addend, where);
      reader.addend_names.push_back(read_string_attribute(addend_group.get(), "node", where));
    }
  }
}

PyramidReader::~PyramidReader() = default;

PyramidReader::PyramidReader(const std::string& file, hid_t root, std::uint64_t clips,
                             std::uint64_t targets, ReadGuard& guard)
    : parts_(std::make_unique<Parts>()) {
  parts_->file = file;
  parts_->clips = clips;
  parts_->targets = targets;
  parts_->open_layers(root, guard);
  parts_->open_additions(root, guard);
}

bool PyramidReader::has_edges() const {
  return !parts_->layers.empty() && parts_->layers.front().edges.has_value();
}

bool PyramidReader::has_tubes() const {
  return std::any_of(parts_->layers.begin(), parts_->layers.end(),
                     [](const LayerReader& layer) { return layer.tubes.has_value(); });
}

void PyramidReader::read(std::uint64_t row, std::vector<Pyramid>& pyramids) const {
  for (Pyramid& pyramid : pyramids) pyramid.method = parts_->method;
  for (const LayerReader& layer : parts_->layers) {
    std::vector<ChannelRelevance> kernels = layer.kernels.read(row, pyramids.size());
    std::vector<ChannelRelevance> channels = layer.channels.read(row, pyramids.size());
    for (std::size_t k = 0; k < pyramids.size(); ++k) {
      PyramidLayer& out = pyramids[k].layers.emplace_back();
      out.name = layer.name;
      out.depth = layer.depth;
      out.kernels = std::move(kernels[k]);
      out.channels = std::move(channels[k]);
      if (layer.edges) {
        out.edges = layer.edges->read(row, k, layer.kernel_count, layer.channel_count);
      }
      if (layer.tubes) out.tube = layer.tubes->read(row, k);
    }
  }
  for (const AdditionReader& addition : parts_->additions) {
    std::vector<ChannelRelevance> sums = addition.sum.read(row, pyramids.size());
    for (std::size_t k = 0; k < pyramids.size(); ++k) {
      PyramidAddition& out = pyramids[k].additions.emplace_back();
      out.name = addition.name;
      out.addend_names = addition.addend_names;
      out.sum = std::move(sums[k]);
    }
    for (const RelevanceReader& addend : addition.addends) {
      std::vector<ChannelRelevance> shares = addend.read(row, pyramids.size());
      for (std::size_t k = 0; k < pyramids.size(); ++k) {
        pyramids[k].additions.back().addends.push_back(std::move(shares[k]));
      }
    }
  }
}

}  // namespace cfp::hdf5
