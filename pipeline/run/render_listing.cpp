#include "pipeline/run/render_listing.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "datasets/csv.h"
#include "stages/core/output_file.h"

namespace cfp {
namespace fs = std::filesystem;
namespace {

const std::vector<std::string> kColumns = {"file",      "clip_id", "view",        "layer",
                                           "depth",     "target",  "class_index", "class_name",
                                           "style",     "frames",  "width_px",    "height_px",
                                           "tube_size", "minimum", "maximum",     "status"};

std::string number(float value) { return std::isfinite(value) ? fmt::format("{}", value) : ""; }

}  // namespace

RenderListing::RenderListing(fs::path folder) : folder_(std::move(folder)) {
  if (!fs::exists(path())) return;
  CsvTable table(path());
  if (table.columns() != kColumns) {
    throw ConfigError(fmt::format("{}: is no listing of rendered files; its columns would be {}",
                                  path().string(), fmt::join(kColumns, ",")));
  }
  while (table.next()) {
    const std::string file = table.at("file");
    if (!fs::exists(folder_ / file)) continue;
    std::vector<std::string>& fields = lines_[file];
    fields.clear();
    for (const std::string& column : kColumns) fields.push_back(table.at(column));
  }
}

void RenderListing::add(const RenderedFile& f) {
  lines_[f.file] = {f.file,
                    f.clip_id,
                    fmt::format("{}", f.view),
                    f.layer,
                    fmt::format("{}", f.depth),
                    fmt::format("{}", f.target),
                    fmt::format("{}", f.class_index),
                    f.class_name,
                    f.style,
                    fmt::format("{}", f.frames),
                    fmt::format("{}", f.width_px),
                    fmt::format("{}", f.height_px),
                    f.tube_size,
                    number(f.minimum),
                    number(f.maximum),
                    f.status};
}

void RenderListing::add_failure(const std::string& clip_folder, const ClipResult& clip,
                                FailureReason reason) {
  std::vector<std::string>& fields = lines_[clip_folder + "/"];
  fields.assign(kColumns.size(), "");
  fields[0] = clip_folder + "/";
  fields[1] = clip.clip_id;
  fields[2] = fmt::format("{}", clip.view);
  fields.back() = to_string(reason);
}

void RenderListing::write() const {
  OutputFile file(path());
  file.write(fmt::format("{}\n", fmt::join(kColumns, ",")));
  for (const auto& [name, fields] : lines_) {
    std::vector<std::string> cells;
    std::ranges::transform(fields, std::back_inserter(cells), csv_field);
    file.write(fmt::format("{}\n", fmt::join(cells, ",")));
  }
  file.finish();
}

}  // namespace cfp
