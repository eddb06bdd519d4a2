#include "results/store/part_reader.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "results/store/column.h"
#include "results/store/part_file.h"
#include "results/store/pyramid_reader.h"

namespace cfp {
namespace {

using namespace hdf5;

/// More than any part of a real network needs; what one clip and one chunk a dataset may take.
constexpr std::uint64_t kBudgetBytes = std::uint64_t{1} << 30;

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

PartHeader read_header(const std::string& file, hid_t root, ReadGuard& guard) {
  if (read_string_attribute(root, "format", file) != "cfp part") {
    throw SystemError(file + ": not a part that cfp wrote");
  }
  const std::int32_t version = read_int_attribute(root, "schema_version", file);
  if (version < 1 || version > kPartSchemaVersion) {
    throw SystemError(fmt::format("{}: schema version {}; this program reads those up to {}", file,
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
  // Only where a run went on, told to, from parts of another config, manifest or other weights.
  if (H5Aexists(root, "continues") > 0) header.continues = text("continues");
  const Group classes = open_group(root, "classes", file);
  header.class_names = read_all_texts(ColumnReader(file, classes.get(), "name", 0, guard));
  header.versions = read_versions(file, root);
  return header;
}

/// A whole column of one number a row, block by block.
std::vector<std::int64_t> read_integers(const ColumnReader& column, std::uint64_t rows) {
  constexpr std::uint64_t kBlock = 8192;
  std::vector<std::int64_t> numbers;
  for (std::uint64_t begin = 0; begin < rows; begin += kBlock) {
    const auto block = column.read<std::int64_t>(begin, std::min(kBlock, rows - begin));
    numbers.insert(numbers.end(), block.begin(), block.end());
  }
  return numbers;
}

}  // namespace

struct PartReader::Parts {
  explicit Parts(std::string path)
      : file(std::move(path)), guard(file, kBudgetBytes), handle(open_file(file)) {}

  std::string file;
  ReadGuard guard;
  File handle;
  PartHeader header;
  std::uint64_t clips = 0, failures = 0, targets = 0;
  std::map<std::string, ColumnReader, std::less<>> columns;  ///< by path, but for the pyramids
  std::optional<PyramidReader> pyramids;                     ///< absent where no clip was explained

  /// Opens a column of a group and keeps it under `<group>/<name>`.
  const ColumnReader& open(hid_t parent, const std::string& group, const std::string& name,
                           std::size_t rank) {
    return columns
        .emplace(group + "/" + name, ColumnReader(file + ": " + group, parent, name, rank, guard))
        .first->second;
  }
  const ColumnReader& column(std::string_view path) const { return columns.find(path)->second; }

  void open_clips();
  void open_failures();
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
  // Parts of version 0.1 have no such column: they know no averages.
  if (contains(group.get(), "views", file))
    with_rows(open(group.get(), "clips", "views", 0), clips);
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

PartReader::~PartReader() = default;
PartReader::PartReader(PartReader&&) noexcept = default;
PartReader& PartReader::operator=(PartReader&&) noexcept = default;

PartReader::PartReader(std::filesystem::path path) {
  initialise();
  if (!std::filesystem::is_regular_file(path)) {
    throw SystemError(path.string() + ": no such file");
  }
  parts_ = std::make_unique<Parts>(path.string());
  Parts& parts = *parts_;
  parts.header = read_header(parts.file, parts.handle.get(), parts.guard);
  parts.open_clips();
  parts.open_failures();
  if (parts.clips == 0) return;
  parts.pyramids.emplace(parts.file, parts.handle.get(), parts.clips, parts.targets, parts.guard);
}

const PartHeader& PartReader::header() const { return parts_->header; }
std::int64_t PartReader::clips() const { return static_cast<std::int64_t>(parts_->clips); }
std::int64_t PartReader::failures() const { return static_cast<std::int64_t>(parts_->failures); }

bool PartReader::has_edges() const { return parts_->pyramids && parts_->pyramids->has_edges(); }

bool PartReader::has_tubes() const { return parts_->pyramids && parts_->pyramids->has_tubes(); }

std::vector<std::int64_t> PartReader::rows() const {
  initialise();
  return read_integers(parts_->column("clips/row"), parts_->clips);
}

std::vector<std::int64_t> PartReader::failure_rows() const {
  initialise();
  return read_integers(parts_->column("failures/row"), parts_->failures);
}

ClipResult PartReader::read(std::int64_t index) const {
  initialise();
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
  if (parts.columns.contains("clips/views")) {
    clip.views = parts.column("clips/views").read<std::int32_t>(row).at(0);
    if (clip.views < 1) {
      throw SystemError(fmt::format("{}: clip {}: {} views", parts.file, index, clip.views));
    }
  }
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
  }
  parts.pyramids->read(row, clip.pyramids);
  return clip;
}

std::vector<ClipResult> PartReader::read_row(std::int64_t first) const {
  std::vector<ClipResult> views{read(first)};
  const auto row_of = [&](std::int64_t i) {
    return parts_->column("clips/row").read<std::int64_t>(static_cast<std::uint64_t>(i)).at(0);
  };
  for (std::int64_t i = first + 1; i < clips() && row_of(i) == views[0].row; ++i) {
    views.push_back(read(i));
  }
  return views;
}

Failure PartReader::read_failure(std::int64_t index) const {
  initialise();
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
