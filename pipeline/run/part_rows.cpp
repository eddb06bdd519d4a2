#include "pipeline/run/part_rows.h"

#include <fmt/format.h>

#include "stages/core/errors.h"

namespace cfp {

std::vector<PartRow> rows_of_part(const PartReader& part) {
  const std::vector<std::int64_t> clips = part.rows(), failures = part.failure_rows();
  std::vector<PartRow> rows;
  std::size_t c = 0, f = 0;
  while (c < clips.size() || f < failures.size()) {
    PartRow row;
    if (f == failures.size() || (c < clips.size() && clips[c] < failures[f])) {
      row = {.row = clips[c], .index = static_cast<std::int64_t>(c)};
      for (; c < clips.size() && clips[c] == row.row; ++c) ++row.clips;
    } else {
      row = {.row = failures[f], .failed = true, .index = static_cast<std::int64_t>(f)};
      ++f;
    }
    if (row.row < 0 || (!rows.empty() && row.row <= rows.back().row)) {
      throw SystemError(fmt::format("row {} of the manifest comes twice or out of order", row.row));
    }
    rows.push_back(row);
  }
  return rows;
}

void require_same_clip(const std::string& clip_id, const std::string& path,
                       const ClipRequest& request) {
  if (clip_id == request.clip_id && path == request.media.path) return;
  throw SystemError(fmt::format("row {} is clip '{}' of '{}', in the manifest it is '{}' of '{}'",
                                request.row, clip_id, path, request.clip_id, request.media.path));
}

void read_rows(const PartReader& part, const std::vector<PartRow>& rows,
               const std::function<const ClipRequest&(std::int64_t row)>& request,
               const RowSink& sink) {
  for (const PartRow& row : rows) {
    if (row.failed) {
      const Failure failure = part.read_failure(row.index);
      require_same_clip(failure.clip_id, failure.path, request(row.row));
      sink.failed(failure);
      continue;
    }
    if (!sink.explained) continue;
    std::vector<ClipResult> views;
    for (std::int64_t i = 0; i < row.clips; ++i) views.push_back(part.read(row.index + i));
    require_same_clip(views[0].clip_id, views[0].path, request(row.row));
    sink.explained(views);
  }
}

}  // namespace cfp
