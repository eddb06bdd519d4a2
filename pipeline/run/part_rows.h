// The rows of parts again, in the manifest's order: for runs that go on, and for merging.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "results/store/part_reader.h"
#include "stages/core/clip.h"

namespace cfp {

/// Where a row of the manifest lies in a part.
struct PartRow {
  std::int64_t row = 0;  ///< of the manifest
  bool failed = false;
  std::int64_t index = 0;  ///< of its first clip, or of its failure
  std::int64_t clips = 0;  ///< views; none of a failure
};

/// @return the rows of a part, ascending
/// @throws SystemError the part is damaged: rows come twice or out of order
std::vector<PartRow> rows_of_part(const PartReader& part);

/// Takes what the parts hold of a row.
struct RowSink {
  /// Empty: explained rows are not even read.
  std::function<void(const std::vector<ClipResult>&)> explained;
  std::function<void(const Failure&)> failed;
};

/// Hands rows to a sink, in order.
/// @throws SystemError the part is damaged, or a clip is not that of `request`
void read_rows(const PartReader& part, const std::vector<PartRow>& rows,
               const std::function<const ClipRequest&(std::int64_t row)>& request,
               const RowSink& sink);

/// Compares what a part says of a row with the manifest.
/// @throws SystemError the ids or the paths differ
void require_same_clip(const std::string& clip_id, const std::string& path,
                       const ClipRequest& request);

}  // namespace cfp
