#include "results/store/part_reader.h"

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <limits>
#include <optional>
#include <utility>
#include <vector>

#include "results/store/column.h"
#include "results/store/layout.h"

namespace cfp {
namespace {

using namespace hdf5;

/// More than any part of a real network needs; what one clip and one chunk a dataset may take.
constexpr std::uint64_t kBudgetBytes = std::uint64_t{1} << 30;
constexpr std::int64_t kMaxLayers = 100'000;
constexpr std::uint64_t kMaxNames = 1'000'000;

/// Reads the versions that /versions holds as attributes.
std::map<std::string, std::string> read_versions(const std::string& file, hid_t root) {
  const Group group = open_group(root, "versions", file);
  std::vector<std::string> names;
  const auto collect = [](hid_t, const char* name, const H5A_info_t*, void* out) -> herr_t {
    static_cast<std::vector<std::string>*>(out)->emplace_back(name);
    return 0;
  };
  hsize_t position = 0;
  check(H5Aiterate2(group.get(), H5_INDEX_NAME, H5_ITER_INC, &position, collect, &names), file,
        "cannot list the versions");
  std::map<std::string, std::string> versions;
  for (const std::string& name : names) {
    versions[name] = read_string_attribute(group.get(), name.c_str(), file);
  }
  return versions;
}

std::vector<std::string> read_all_texts(const ColumnReader& column) {
  if (column.rows() > kMaxNames) {
    throw SystemError(fmt::format("{}: {} names", column.item(), column.rows()));
  }
  std::vector<std::string> texts;
  for (std::uint64_t i = 0; i < column.rows(); ++i) texts.push_back(column.read_texts(i).at(0));
  return texts;
}

PartHeader read_header(const std::string& file, hid_t root, Budget& budget) {
  if (read_string_attribute(root, "format", file) != "cfp part") {
    throw SystemError(file + ": not a part that cfp wrote");
  }
  const std::int32_t version = read_int_attribute(root, "schema_version", file);
  if (version != kPartSchemaVersion) {
    throw SystemError(fmt::format("{}: schema version {}; this program reads version {}", file,
                                  version, kPartSchemaVersion));
  }
  const auto text = [&](const char* name) { return read_string_attribute(root, name, file); };
  PartHeader header{.name = text("name"),
                    .config = text("config"),
                    .config_hash = text("config_hash"),
                    .manifest_hash = text("manifest_hash"),
                    .weights_hash = text("weights_hash"),
                    .network = text("network"),
                    .preset = text("preset"),
                    .method = text("method"),
                    .command = text("command"),
                    .random_weights = read_int_attribute(root, "random_weights", file) != 0};
  const Group classes = open_group(root, "classes", file);
  header.class_names = read_all_texts(ColumnReader(file, classes.get(), "name", 0, budget));
  header.versions = read_versions(file, root);
  return header;
}

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

/// The vectors of one ChannelRelevance of every clip; what the method left empty is absent.
class RelevanceReader {
 public:
  RelevanceReader(const std::string& file, hid_t parent, const std::string& name,
                  std::uint64_t clips, std::uint64_t targets, Budget& budget) {
    const Group group = open_group(parent, name, file);
    std::optional<hsize_t> channels;
    for (const RelevanceField field : kRelevanceFields) {
      const std::string column(name_of(field));
      if (!contains(group.get(), column, file)) continue;
      ColumnReader& reader = columns_[static_cast<std::size_t>(field)].emplace(
          file, group.get(), column, 2, budget);
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
             Budget& budget)
      : EdgeReader(file, open_group(layer, "edges", file), budget) {
    require_shape(with_rows(range_, clips), {targets, 2});
    with_rows(channel_, kernel_.rows());
    with_rows(score_, kernel_.rows());
  }

  /// @param kernels, channels  of the layer: an edge joins two of them, and no two edges the same
  std::vector<Edge> read(std::uint64_t index, std::size_t target, std::uint64_t kernels,
                         std::uint64_t channels) const {
    const std::vector<std::uint64_t> range = range_.read<std::uint64_t>(index);
    const std::uint64_t begin = range[2 * target], end = range[2 * target + 1];
    if (begin > end || end > kernel_.rows() || end - begin > kernels * channels) {
      throw SystemError(fmt::format("{}: row {} names edges {} to {} of {}", range_.item(), index,
                                    begin, end, kernel_.rows()));
    }
    const auto kernel = kernel_.read<std::uint32_t>(begin, end - begin);
    const auto channel = channel_.read<std::uint32_t>(begin, end - begin);
    const auto score = score_.read<float>(begin, end - begin);
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
  EdgeReader(const std::string& file, Group group, Budget& budget)
      : range_(file, group.get(), "range", 2, budget),
        kernel_(file, group.get(), "kernel", 0, budget),
        channel_(file, group.get(), "channel", 0, budget),
        score_(file, group.get(), "score", 0, budget) {}

  ColumnReader range_, kernel_, channel_, score_;
};

/// The tubes of one layer.
class TubeReader {
 public:
  TubeReader(const std::string& file, hid_t tubes, const std::string& group_name,
             std::uint64_t clips, std::uint64_t targets, Budget& budget)
      : TubeReader(file, open_group(tubes, group_name, file), budget) {
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
    return {static_cast<std::int64_t>(shape[1]),
            static_cast<std::int64_t>(shape[2]),
            static_cast<std::int64_t>(shape[3]),
            {begin, begin + static_cast<std::ptrdiff_t>(cells)},
            minimum_.read<float>(index)[target],
            maximum_.read<float>(index)[target]};
  }

 private:
  TubeReader(const std::string& file, Group group, Budget& budget)
      : values_(file, group.get(), "values", 4, budget),
        minimum_(file, group.get(), "minimum", 1, budget),
        maximum_(file, group.get(), "maximum", 1, budget) {}

  ColumnReader values_, minimum_, maximum_;
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

struct PartReader::Parts {
  std::string file;
  Budget budget{kBudgetBytes};
  File handle;
  PartHeader header;
  std::uint64_t clips = 0, failures = 0, targets = 0;
  std::string method;
  std::map<std::string, ColumnReader, std::less<>> columns;  ///< by path, but for the pyramids
  std::vector<LayerReader> layers;
  std::vector<AdditionReader> additions;

  /// Opens a column of a group and keeps it under `<group>/<name>`.
  const ColumnReader& open(hid_t parent, const std::string& group, const std::string& name,
                           std::size_t rank) {
    return columns
        .emplace(group + "/" + name,
                 ColumnReader(file + ": " + group, parent, name, rank, budget))
        .first->second;
  }
  const ColumnReader& column(std::string_view path) const { return columns.find(path)->second; }

  void open_clips();
  void open_failures();
  void open_layers();
  void open_additions();
};

void PartReader::Parts::open_clips() {
  const Group group = open_group(handle.get(), "clips", file);
  clips = open(group.get(), "clips", "row", 0).rows();
  if (clips > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
    throw SystemError(fmt::format("{}: {} clips", file, clips));
  }
  for (const char* name : {"view", "label", "prediction", "score", "decode_s", "network_s",
                           "pyramid_s", "clip_id", "path"}) {
    with_rows(open(group.get(), "clips", name, 0), clips);
  }
  if (clips == 0) return;
  with_rows(open(handle.get(), "", "logits", 1), clips);
  if (contains(handle.get(), "frame_times", file)) {
    with_rows(open(handle.get(), "", "frame_times", 1), clips);
  }
  const Group target = open_group(handle.get(), "targets", file);
  targets = with_rows(open(target.get(), "targets", "class_index", 1), clips).row_shape()[0];
  if (targets == 0) throw SystemError(file + ": no targets a clip");
  require_shape(with_rows(open(target.get(), "targets", "value", 1), clips), {targets});
  require_shape(with_rows(open(target.get(), "targets", "kind", 1), clips), {targets});
}

void PartReader::Parts::open_failures() {
  const Group group = open_group(handle.get(), "failures", file);
  failures = open(group.get(), "failures", "row", 0).rows();
  for (const char* name : {"clip_id", "path", "stage", "reason", "message"}) {
    with_rows(open(group.get(), "failures", name, 0), failures);
  }
}

void PartReader::Parts::open_layers() {
  const Group group = open_group(handle.get(), "layers", file);
  const auto number = [&](const char* name, std::size_t rank = 0) {
    return ColumnReader(file + ": layers", group.get(), name, rank, budget);
  };
  const std::vector<std::string> names = read_all_texts(number("name"));
  const std::vector<std::string> groups = read_all_texts(number("group"));
  const ColumnReader depth = number("depth"), kernels = number("kernels"),
                     channels = number("channels");
  if (names.size() != groups.size() || names.size() > kMaxLayers) {
    throw SystemError(fmt::format("{}: {} layers in {} groups", file, names.size(),
                                  groups.size()));
  }
  const Group pyramid = open_group(handle.get(), "pyramid", file);
  method = read_string_attribute(pyramid.get(), "method", file);
  const bool tubes_stored = contains(handle.get(), "tubes", file);
  const Group tubes = tubes_stored ? open_group(handle.get(), "tubes", file) : Group();
  for (std::size_t i = 0; i < names.size(); ++i) {
    const std::string where = fmt::format("{}: pyramid/{}", file, groups[i]);
    const Group layer = open_group(pyramid.get(), groups[i], where);
    LayerReader& reader = layers.emplace_back(
        LayerReader{names[i], depth.read<std::int32_t>(i).at(0),
                    kernels.read<std::uint64_t>(i).at(0), channels.read<std::uint64_t>(i).at(0),
                    RelevanceReader(where, layer.get(), "kernels", clips, targets, budget),
                    RelevanceReader(where, layer.get(), "channels", clips, targets, budget)});
    constexpr std::uint64_t kMaxChannels = std::uint64_t{1} << 24;
    if (reader.kernel_count > kMaxChannels || reader.channel_count > kMaxChannels) {
      throw SystemError(fmt::format("{}: {} kernels and {} channels", where, reader.kernel_count,
                                    reader.channel_count));
    }
    if (contains(layer.get(), "edges", where)) {
      reader.edges.emplace(where, layer.get(), clips, targets, budget);
    }
    if (tubes_stored && contains(tubes.get(), groups[i], where)) {
      reader.tubes.emplace(file + ": tubes/" + groups[i], tubes.get(), groups[i], clips, targets,
                           budget);
    }
  }
}

void PartReader::Parts::open_additions() {
  const Group group = open_group(handle.get(), "additions", file);
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
                       RelevanceReader(where, addition.get(), "sum", clips, targets, budget),
                       {}});
    const std::int32_t count = read_int_attribute(addition.get(), "addends", where);
    for (std::int32_t a = 0; a < count; ++a) {
      const std::string addend = fmt::format("addend_{}", a);
      reader.addends.emplace_back(where, addition.get(), addend, clips, targets, budget);
      const Group addend_group = open_group(addition.get(), addend, where);
      reader.addend_names.push_back(read_string_attribute(addend_group.get(), "node", where));
    }
  }
}

PartReader::~PartReader() = default;
PartReader::PartReader(PartReader&&) noexcept = default;
PartReader& PartReader::operator=(PartReader&&) noexcept = default;

PartReader::PartReader(std::filesystem::path path) : parts_(std::make_unique<Parts>()) {
  initialise();
  Parts& parts = *parts_;
  parts.file = path.string();
  if (!std::filesystem::is_regular_file(path)) {
    throw SystemError(parts.file + ": no such file");
  }
  const PropertyList access(check(H5Pcreate(H5P_FILE_ACCESS), parts.file, "cannot open it"));
  check(H5Pset_fclose_degree(access.get(), H5F_CLOSE_STRONG), parts.file, "cannot open it");
  parts.handle = File(check(H5Fopen(parts.file.c_str(), H5F_ACC_RDONLY, access.get()), parts.file,
                            "cannot open it as an HDF5 file"));
  parts.header = read_header(parts.file, parts.handle.get(), parts.budget);
  parts.open_clips();
  parts.open_failures();
  if (parts.clips == 0) return;
  parts.open_layers();
  parts.open_additions();
}

const PartHeader& PartReader::header() const { return parts_->header; }
std::int64_t PartReader::clips() const { return static_cast<std::int64_t>(parts_->clips); }
std::int64_t PartReader::failures() const { return static_cast<std::int64_t>(parts_->failures); }

bool PartReader::has_edges() const {
  return !parts_->layers.empty() && parts_->layers.front().edges.has_value();
}

bool PartReader::has_tubes() const {
  for (const LayerReader& layer : parts_->layers) {
    if (layer.tubes) return true;
  }
  return false;
}

ClipResult PartReader::read(std::int64_t index) const {
  const Parts& parts = *parts_;
  if (index < 0 || index >= clips()) {
    throw SystemError(fmt::format("{}: clip {} of {}", parts.file, index, parts.clips));
  }
  const auto row = static_cast<std::uint64_t>(index);
  ClipResult clip;
  clip.row = parts.column("clips/row").read<std::int64_t>(row).at(0);
  clip.clip_id = parts.column("clips/clip_id").read_texts(row).at(0);
  clip.path = parts.column("clips/path").read_texts(row).at(0);
  clip.view = parts.column("clips/view").read<std::int32_t>(row).at(0);
  clip.label = parts.column("clips/label").read<std::int32_t>(row).at(0);
  clip.prediction = parts.column("clips/prediction").read<std::int32_t>(row).at(0);
  clip.decode_s = parts.column("clips/decode_s").read<double>(row).at(0);
  clip.network_s = parts.column("clips/network_s").read<double>(row).at(0);
  clip.pyramid_s = parts.column("clips/pyramid_s").read<double>(row).at(0);
  clip.logits = parts.column("/logits").read<float>(row);
  const int classes = static_cast<int>(clip.logits.size());
  if (clip.prediction < 0 || clip.prediction >= classes || clip.label < -1 ||
      clip.label >= classes) {
    throw SystemError(fmt::format("{}: clip {}: label {} and prediction {} of {} classes",
                                  parts.file, index, clip.label, clip.prediction, classes));
  }
  if (parts.columns.contains("/frame_times")) {
    clip.frame_times_s = parts.column("/frame_times").read<double>(row);
  }

  const auto class_index = parts.column("targets/class_index").read<std::int32_t>(row);
  const auto value = parts.column("targets/value").read<double>(row);
  const std::vector<std::string> kind = parts.column("targets/kind").read_texts(row);
  clip.pyramids.resize(parts.targets);
  for (std::size_t k = 0; k < clip.pyramids.size(); ++k) {
    if (class_index[k] < 0 || class_index[k] >= classes) {
      throw SystemError(fmt::format("{}: clip {}: explains class {} of {}", parts.file, index,
                                    class_index[k], classes));
    }
    clip.pyramids[k].target = {class_index[k], kind[k], value[k]};
    clip.pyramids[k].method = parts.method;
  }
  for (const LayerReader& layer : parts.layers) {
    std::vector<ChannelRelevance> kernels = layer.kernels.read(row, clip.pyramids.size());
    std::vector<ChannelRelevance> channels = layer.channels.read(row, clip.pyramids.size());
    for (std::size_t k = 0; k < clip.pyramids.size(); ++k) {
      PyramidLayer& out = clip.pyramids[k].layers.emplace_back();
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
  for (const AdditionReader& addition : parts.additions) {
    std::vector<ChannelRelevance> sums = addition.sum.read(row, clip.pyramids.size());
    for (std::size_t k = 0; k < clip.pyramids.size(); ++k) {
      PyramidAddition& out = clip.pyramids[k].additions.emplace_back();
      out.name = addition.name;
      out.addend_names = addition.addend_names;
      out.sum = std::move(sums[k]);
    }
    for (const RelevanceReader& addend : addition.addends) {
      std::vector<ChannelRelevance> shares = addend.read(row, clip.pyramids.size());
      for (std::size_t k = 0; k < clip.pyramids.size(); ++k) {
        clip.pyramids[k].additions.back().addends.push_back(std::move(shares[k]));
      }
    }
  }
  return clip;
}

Failure PartReader::read_failure(std::int64_t index) const {
  const Parts& parts = *parts_;
  if (index < 0 || index >= failures()) {
    throw SystemError(fmt::format("{}: failure {} of {}", parts.file, index, parts.failures));
  }
  const auto row = static_cast<std::uint64_t>(index);
  const auto text = [&](std::string_view name) { return parts.column(name).read_texts(row).at(0); };
  Failure failure{.row = parts.column("failures/row").read<std::int64_t>(row).at(0),
                  .clip_id = text("failures/clip_id"),
                  .path = text("failures/path"),
                  .stage = text("failures/stage"),
                  .message = text("failures/message")};
  const std::string reason = text("failures/reason");
  const std::optional<FailureReason> known = failure_reason(reason);
  if (!known) {
    throw SystemError(fmt::format("{}: failure {}: no such reason: {}", parts.file, index, reason));
  }
  failure.reason = *known;
  return failure;
}

}  // namespace cfp
