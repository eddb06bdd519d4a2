#include "results/store/part_writer.h"

#include <algorithm>
#include <optional>
#include <stdexcept>
#include <utility>

#include <fmt/format.h>
#include <unistd.h>

#include "results/store/column.h"
#include "results/store/part_file.h"
#include "results/store/pyramid_columns.h"
#include "stages/core/output_file.h"
#include "stages/core/softmax.h"

namespace cfp {
namespace {

using namespace hdf5;

/// /clips: a column for each property of a clip.
class ClipColumns {
 public:
  ClipColumns(const ColumnFile& file, hid_t root)
      : group_(create_group(root, "clips", file.name)),
        row_(file, group_.get(), {"row", {}, "clips", "index", "row of the manifest, from 0"},
             Number::kInt64),
        view_(file, group_.get(), {"view", {}, "clips", "index", "view of the row, from 0"},
              Number::kInt32),
        views_(file, group_.get(),
               {"views", {}, "clips", "views", "views that are averaged; 1: this view alone"},
               Number::kInt32),
        label_(file, group_.get(),
               {"label", {}, "clips", "index", "class the data set names; -1: none"},
               Number::kInt32),
        prediction_(file, group_.get(),
                    {"prediction",
                     {},
                     "clips",
                     "index",
                     "class of the largest mean logit of the row's views"},
                    Number::kInt32),
        score_(file, group_.get(),
               {"score",
                {},
                "clips",
                "probability",
                "softmax probability of the prediction by /logits"},
               Number::kFloat32),
        decode_s_(file, group_.get(),
                  {"decode_s", {}, "clips", "s", "time spent decoding and resizing"},
                  Number::kFloat64),
        network_s_(file, group_.get(),
                   {"network_s", {}, "clips", "s", "time spent in the network, forward"},
                   Number::kFloat64),
        pyramid_s_(file, group_.get(),
                   {"pyramid_s", {}, "clips", "s", "time spent on the pyramid and its tubes"},
                   Number::kFloat64),
        clip_id_(file, group_.get(), {"clip_id", {}, "clips", "", "name of the manifest's row"}),
        path_(file, group_.get(), {"path", {}, "clips", "", "media file"}) {}

  void append(const ClipResult& clip) {
    const std::int64_t row = clip.row;
    const std::int32_t view = clip.view, views = clip.views, label = clip.label,
                       prediction = clip.prediction;
    const auto score = static_cast<float>(
        softmax_probability(clip.logits, static_cast<std::size_t>(clip.prediction)));
    clip_id_.append(clip.clip_id);
    path_.append(clip.path);
    row_.append(&row);
    view_.append(&view);
    views_.append(&views);
    label_.append(&label);
    prediction_.append(&prediction);
    score_.append(&score);
    decode_s_.append(&clip.decode_s);
    network_s_.append(&clip.network_s);
    pyramid_s_.append(&clip.pyramid_s);
  }

  void flush() {
    for (Column* column : {&row_, &view_, &views_, &label_, &prediction_, &score_, &decode_s_,
                           &network_s_, &pyramid_s_}) {
      column->flush();
    }
    clip_id_.flush();
    path_.flush();
  }

 private:
  Group group_;
  Column row_, view_, views_, label_, prediction_, score_, decode_s_, network_s_, pyramid_s_;
  TextColumn clip_id_, path_;
};

/// /failures: a column for each property of a failure.
class FailureColumns {
 public:
  FailureColumns(const ColumnFile& file, hid_t root)
      : group_(create_group(root, "failures", file.name)),
        row_(file, group_.get(), {"row", {}, "failures", "index", "row of the manifest, from 0"},
             Number::kInt64),
        clip_id_(file, group_.get(), {"clip_id", {}, "failures", "", "name of the row"}),
        path_(file, group_.get(), {"path", {}, "failures", "", "media file"}),
        stage_(file, group_.get(), {"stage", {}, "failures", "", "where it failed"}),
        reason_(file, group_.get(), {"reason", {}, "failures", "", "kind of failure"}),
        message_(file, group_.get(), {"message", {}, "failures", "", "what exactly happened"}) {}

  void append(const Failure& failure) {
    clip_id_.append(failure.clip_id);
    path_.append(failure.path);
    stage_.append(failure.stage);
    reason_.append(std::string(to_string(failure.reason)));
    message_.append(failure.message);
    row_.append(&failure.row);
  }

  void flush() {
    row_.flush();
    for (TextColumn* column : {&clip_id_, &path_, &stage_, &reason_, &message_}) column->flush();
  }

 private:
  Group group_;
  Column row_;
  TextColumn clip_id_, path_, stage_, reason_, message_;
};

/// What the first clip fixes: /logits, /frame_times, /targets and the pyramids.
class ExplainedColumns {
 public:
  ExplainedColumns(const ColumnFile& file, hid_t root, const ClipResult& first)
      : classes_(first.logits.size()),
        frames_(first.frame_times_s.size()),
        targets_group_(create_group(root, "targets", file.name)),
        logits_(file, root, {"logits", {classes_}, "clips, classes", "1", "the network's output"},
                Number::kFloat32),
        class_index_(file, targets_group_.get(),
                     {"class_index",
                      {first.pyramids.size()},
                      "clips, targets",
                      "index",
                      "class that is explained"},
                     Number::kInt32),
        value_(file, targets_group_.get(),
               {"value", {first.pyramids.size()}, "clips, targets", "1", "y, the target's value"},
               Number::kFloat64),
        kind_(file, targets_group_.get(),
              {"kind", {first.pyramids.size()}, "clips, targets", "", "`logit` or `margin`"}),
        pyramids_(file, root, first) {
    if (frames_ == 0) return;
    frame_times_.emplace(file, root,
                         ColumnSpec{"frame_times",
                                    {frames_},
                                    "clips, frames",
                                    "s",
                                    "presentation time of each frame in its file"},
                         Number::kFloat64);
  }

  void check_fits(const ClipResult& clip) const {
    if (clip.logits.size() != classes_ || clip.frame_times_s.size() != frames_) {
      throw std::logic_error(fmt::format(
          "clip {}: {} logits of {} frames, the part's first clip has {} of {}", clip.clip_id,
          clip.logits.size(), clip.frame_times_s.size(), classes_, frames_));
    }
    pyramids_.check_fits(clip);
  }

  void append(const ClipResult& clip) {
    logits_.append(clip.logits.data());
    if (frame_times_) frame_times_->append(clip.frame_times_s.data());
    std::vector<std::int32_t> classes;
    std::vector<double> values;
    for (const Pyramid& pyramid : clip.pyramids) {
      classes.push_back(pyramid.target.class_index);
      values.push_back(pyramid.target.value);
      kind_.append(pyramid.target.kind);
    }
    class_index_.append(classes.data());
    value_.append(values.data());
    pyramids_.append(clip);
  }

  void flush() {
    for (Column* column : {&logits_, &class_index_, &value_}) column->flush();
    if (frame_times_) frame_times_->flush();
    kind_.flush();
    pyramids_.flush();
  }

 private:
  hsize_t classes_, frames_;
  Group targets_group_;
  Column logits_, class_index_, value_;
  TextColumn kind_;
  std::optional<Column> frame_times_;
  PyramidColumns pyramids_;
};

}  // namespace

struct PartWriter::Parts {
  std::filesystem::path path;
  std::string temporary;
  StoreOptions options;
  bool finished = false;
  std::int64_t clips = 0, failures = 0;
  std::pair<std::int64_t, int> last{-1, 0};  ///< row and view of the clip before
  File file;
  std::optional<ClipColumns> clip_columns;
  std::optional<FailureColumns> failure_columns;
  std::optional<ExplainedColumns> explained;

  /// Closes every dataset; the file must be closed after them.
  void release() {
    explained.reset();
    failure_columns.reset();
    clip_columns.reset();
  }

  ~Parts() {
    initialise();
    release();
    file.reset();
    if (!finished && !temporary.empty()) ::unlink(temporary.c_str());
  }
};

PartWriter::~PartWriter() = default;
PartWriter::PartWriter(PartWriter&&) noexcept = default;
PartWriter& PartWriter::operator=(PartWriter&&) noexcept = default;

PartWriter::PartWriter(std::filesystem::path path, const PartHeader& header, StoreOptions options)
    : parts_(std::make_unique<Parts>()) {
  parts_->path = std::move(path);
  parts_->options = options;
  const std::string temporary = temporary_path(parts_->path).string();
  parts_->file = create_file(temporary);
  parts_->temporary = temporary;
  write_header(temporary, parts_->file.get(), "cfp part", header);
  const ColumnFile file(temporary, options);
  parts_->clip_columns.emplace(file, parts_->file.get());
  parts_->failure_columns.emplace(file, parts_->file.get());
}

void PartWriter::append(const ClipResult& clip) {
  initialise();
  Parts& parts = *parts_;
  if (parts.finished) throw std::logic_error(parts.temporary + ": a clip after finish()");
  const std::pair<std::int64_t, int> position{clip.row, clip.view};
  if (position <= parts.last) {
    throw std::logic_error(fmt::format("clip {}: row {} view {} after row {} view {}", clip.clip_id,
                                       clip.row, clip.view, parts.last.first, parts.last.second));
  }
  if (clip.prediction < 0 || static_cast<std::size_t>(clip.prediction) >= clip.logits.size()) {
    throw std::logic_error(fmt::format("clip {}: prediction {} of {} logits", clip.clip_id,
                                       clip.prediction, clip.logits.size()));
  }
  if (!parts.explained) {
    parts.explained.emplace(ColumnFile(parts.temporary, parts.options), parts.file.get(), clip);
  }
  parts.explained->check_fits(clip);
  parts.clip_columns->append(clip);
  parts.explained->append(clip);
  parts.last = position;
  ++parts.clips;
}

void PartWriter::append_failure(const Failure& failure) {
  initialise();
  if (parts_->finished) throw std::logic_error(parts_->temporary + ": a failure after finish()");
  parts_->failure_columns->append(failure);
  ++parts_->failures;
}

std::int64_t PartWriter::clips() const { return parts_->clips; }

std::int64_t PartWriter::failures() const { return parts_->failures; }

void PartWriter::finish() {
  initialise();
  Parts& parts = *parts_;
  if (parts.finished) throw std::logic_error(parts.temporary + ": finished twice");
  parts.clip_columns->flush();
  parts.failure_columns->flush();
  if (parts.explained) parts.explained->flush();
  check(H5Fflush(parts.file.get(), H5F_SCOPE_LOCAL), parts.temporary, "cannot write");
  parts.release();
  // Closed here and not by the handle, whose destructor could not tell that it failed.
  const hid_t id = parts.file.release();
  check(H5Fclose(id), parts.temporary, "cannot close");
  publish_file(parts.path);
  parts.finished = true;
}

}  // namespace cfp
