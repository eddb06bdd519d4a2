// What an earlier run left in a folder, and whether this one may go on from it.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "pipeline/run/part_rows.h"
#include "pipeline/run/prepare.h"
#include "pipeline/run/work_dir.h"

namespace cfp {

/// Which earlier results a run goes on from.
enum class ResumeMode {
  kSame,   ///< those of the same config, manifest and weights; others are an error
  kForce,  ///< also others, as long as their rows are the same clips as the manifest's
  kFresh   ///< none: they are removed
};

/// What is in the folder. The finished rows are the first ones, without gaps.
struct EarlierRun {
  std::int64_t parts = 0;
  std::int64_t done = 0, failed = 0;  ///< rows
  std::string continues;              ///< identities of parts that differ from this run's, by line

  std::int64_t rows() const { return done + failed; }
};

/// @return whether run.json says that all of `rows` are done and nothing is to do any more
bool is_complete(const WorkDir& folder, const Prepared& prepared,
                 std::span<const ClipRequest> rows);

/// Reads the parts of a folder.
///
/// @param rows  that the folder is to hold in the end
/// @param sink  takes all finished rows in order; may be without `explained`
/// @throws ConfigError the parts are of another config, manifest or other weights and `mode` does
///         not allow it; names each difference
/// @throws SystemError a part is missing or damaged
EarlierRun read_earlier(const WorkDir& folder, const Prepared& prepared,
                        std::span<const ClipRequest> rows, ResumeMode mode, const RowSink& sink);

}  // namespace cfp
