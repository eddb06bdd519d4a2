// The shards of a run into one: `cfp merge`.
#pragma once

#include <filesystem>
#include <string>

#include "pipeline/run/run_end.h"
#include "results/store/merged_writer.h"

namespace cfp {

struct MergeSummary {
  RunEnd end;  ///< exit code kTooManyFailures where the shards together have them
  std::int64_t parts = 0;
  std::string text;  ///< the tables for a terminal
};

/// Reads all parts of a finished run, of shards or in one piece, in the manifest's order, and
/// writes merged.h5, the tables, the page and run.json into its folder, as a run in one piece
/// would.
///
/// @throws ConfigError shards are missing or not at their end (all are named), or there are parts
/// of
///         two divisions into shards
/// @throws SystemError a row is missing or there twice, parts are of different runs, a part is
///         damaged; the disk is full or fails
MergeSummary merge_run(const std::filesystem::path& given, PartsAs parts_as);

}  // namespace cfp
