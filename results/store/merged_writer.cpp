#include "results/store/merged_writer.h"

#include <utility>

#include <unistd.h>

#include "results/store/column.h"
#include "results/store/part_file.h"
#include "stages/core/errors.h"
#include "stages/core/output_file.h"

namespace cfp {

using namespace hdf5;

namespace {

ColumnSpec clip_column(const char* name, const char* unit, const char* meaning) {
  return {name, {}, "clips", unit, meaning};
}

/// @throws SystemError an object of the file would crash H5Ocopy
void require_copyable(const File& file, const std::string& name) {
  const auto visit = [](hid_t object, const char*, const H5O_info_t* info, void*) -> herr_t {
    const hid_t id = H5Oopen_by_addr(object, info->addr);
    if (id < 0) return -1;
    const bool compact = has_compact_attributes(id, "");
    H5Oclose(id);
    return compact ? 0 : 1;
  };
  if (check(H5Ovisit2(file.get(), H5_INDEX_NAME, H5_ITER_NATIVE, visit, nullptr, H5O_INFO_BASIC),
            name, "cannot look through it") == 0) {
    return;
  }
  throw SystemError(name + ": was not written by cfp; leave --copy away, and links will do");
}

}  // namespace

struct MergedWriter::Columns {
  File file;
  Group parts, clips;
  TextColumn part_names, clip_ids;
  Column row, view, label, prediction, part, index;
  std::int32_t last_part = -1;

  Columns(const std::string& name, const PartHeader& header)
      : file(create_file(name)),
        parts(create_group(file.get(), "parts", name)),
        clips(create_group(file.get(), "clips", name)),
        part_names(name, file.get(),
                   {"part_names", {}, "parts", "", "of the groups in /parts, in order"}),
        clip_ids(name, clips.get(), clip_column("clip_id", "", "name of the manifest's row")),
        row(name, clips.get(), clip_column("row", "index", "row of the manifest, from 0"),
            Number::kInt64),
        view(name, clips.get(), clip_column("view", "index", "view of the row, from 0"),
             Number::kInt32),
        label(name, clips.get(),
              clip_column("label", "index", "class the data set names; -1: none"), Number::kInt32),
        prediction(name, clips.get(),
                   clip_column("prediction", "index",
                               "class of the largest mean logit of the row's views"),
                   Number::kInt32),
        part(name, clips.get(), clip_column("part", "index", "in /part_names, where the clip is"),
             Number::kInt32),
        index(name, clips.get(), clip_column("index", "index", "of the clip in its part, from 0"),
              Number::kInt64) {
    write_header(name, file.get(), "cfp merged", header);
  }

  void flush() {
    for (Column* column : {&row, &view, &label, &prediction, &part, &index}) column->flush();
    part_names.flush();
    clip_ids.flush();
  }
};

MergedWriter::MergedWriter(std::filesystem::path path, const PartHeader& header, PartsAs parts_as)
    : path_(std::move(path)), temporary_(temporary_path(path_).string()), parts_as_(parts_as) {
  initialise();
  columns_ = std::make_unique<Columns>(temporary_, header);
}

MergedWriter::~MergedWriter() {
  initialise();
  columns_.reset();
  if (!finished_) ::unlink(temporary_.c_str());
}

void MergedWriter::add_part(const std::string& name, const std::filesystem::path& part,
                            const std::string& link) {
  initialise();
  Columns& c = *columns_;
  if (parts_as_ == PartsAs::kLinks) {
    check(H5Lcreate_external(link.c_str(), "/", c.parts.get(), name.c_str(), H5P_DEFAULT,
                             H5P_DEFAULT),
          temporary_, "cannot link a part");
  } else {
    copies_.emplace_back(name, part.string());
  }
  c.part_names.append(name);
  ++c.last_part;
}

void MergedWriter::add_clip(const ClipResult& clip, std::int64_t index) {
  initialise();
  Columns& c = *columns_;
  const std::int64_t row = clip.row;
  const std::int32_t view = clip.view, label = clip.label, prediction = clip.prediction;
  c.clip_ids.append(clip.clip_id);
  c.row.append(&row);
  c.view.append(&view);
  c.label.append(&label);
  c.prediction.append(&prediction);
  c.part.append(&c.last_part);
  c.index.append(&index);
}

void MergedWriter::finish() {
  initialise();
  columns_->flush();
  // Only now, when whoever read the parts has closed them: HDF5 would close them for him.
  for (const auto& [name, part] : copies_) {
    const File source = open_file(part);
    require_copyable(source, part);
    check(H5Ocopy(source.get(), "/", columns_->parts.get(), name.c_str(), H5P_DEFAULT, H5P_DEFAULT),
          temporary_, "cannot copy a part");
  }
  // Closed here and not by the handle, whose destructor could not tell that it failed. What is open
  // in the file keeps it open, so that goes first.
  const hid_t id = columns_->file.release();
  check(H5Fflush(id, H5F_SCOPE_LOCAL), temporary_, "cannot write");
  columns_.reset();
  check(H5Fclose(id), temporary_, "cannot close");
  publish_file(path_);
  finished_ = true;
}

}  // namespace cfp
