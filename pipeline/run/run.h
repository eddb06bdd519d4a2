// One run: from a config to a folder of results.
//
//   const RunSummary summary = run({resolve_config(load_config("configs/demo.yaml"))}, {});
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "pipeline/cluster/shard.h"
#include "pipeline/config/options.h"
#include "pipeline/run/resume.h"
#include "pipeline/run/run_end.h"
#include "stages/core/errors.h"

namespace cfp {

/// What is to be run.
struct RunPoint {
  ResolvedConfig config;
  std::vector<std::string> overrides;  ///< `key=value`, for the records
};

/// How a run is started and watched.
struct RunOptions {
  std::string command;        ///< the command line, for the records
  bool show_progress = true;  ///< on stderr
  ResumeMode resume = ResumeMode::kSame;
  std::optional<Shard> shard;  ///< absent: all rows
  /// Asked now and then: 0, or the number of the signal that ends the run early.
  std::function<int()> stop_signal = [] { return 0; };
};

/// How a run ended. done + failed == asked, unless it was stopped before its end.
struct RunSummary {
  RunEnd end;
  std::filesystem::path folder;
  std::int64_t earlier = 0;   ///< rows that the folder held already
  bool was_complete = false;  ///< nothing was to do
  std::string text;           ///< the tables for a terminal; empty of a shard
};

/// Rows after which a run gives up when all of them failed: then it is not the clips.
inline constexpr std::int64_t kHopelessRows = 20;

/// Explains all rows of the config's data set, or of a shard of it, and writes the results. Where
/// the folder holds finished rows, it goes on behind them.
///
/// Clips that fail are rows of failures.csv. A stopped run (a signal, too many failures) leaves
/// what was finished, whole; on an error the parts before it are.
///
/// @throws ConfigError before any work: the user must edit something, or the folder holds results
///         that this run cannot go on from
/// @throws SystemError disk, device or checkpoint
RunSummary run(RunPoint point, const RunOptions& options);

/// Several runs over the same clips and network, that differ in the explain section and the folder
/// alone: each clip is decoded and goes through the network once for all of them. Where some
/// are further than others, the clips that any of them lacks are done.
///
/// @return one summary a run, in order
/// @throws as run(); one that cannot go on stops all
std::vector<RunSummary> run_together(std::vector<RunPoint> points, const RunOptions& options);

}  // namespace cfp
