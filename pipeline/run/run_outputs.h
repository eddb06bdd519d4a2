// Everything that a run writes: parts row by row, the rest at its end.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "pipeline/run/batch_pipeline.h"
#include "pipeline/run/prepare.h"
#include "pipeline/run/resume.h"
#include "pipeline/run/run_log.h"
#include "pipeline/run/run_tables.h"
#include "pipeline/run/work_dir.h"
#include "results/store/part_writer.h"

namespace cfp {

/// How a run was started, for its records.
struct RunRecord {
  std::string command;                 ///< the command line
  std::vector<std::string> overrides;  ///< `key=value`
  std::vector<std::string> devices;    ///< one entry a replica
  bool is_shard = false;               ///< tables are left to `cfp merge`
};

/// @return rows of a full part: output.part_clips, in whole batches
std::int64_t rows_of_a_part(const Prepared& prepared);

/// @return rows that are decoded and computed together
int rows_of_a_batch(const ResolvedConfig& config);

/// @return what tables say of a run
RunInfo run_info(const Prepared& prepared);

/// The parts, the tables, the page and the log of one run. For one thread at a time.
///
/// Note [Where parts end]
/// A part ends behind a row whose number is a multiple of rows_of_a_part(), wherever the run or the
/// shard began, and with the run. So a run that was killed and went on has the parts of one that
/// was not; one that was stopped by a signal has a short part more.
class RunOutputs {
 public:
  /// @throws SystemError the disk is full or fails
  RunOutputs(const Prepared& prepared, RunRecord record, const WorkDir& folder);

  /// Reads what the folder holds already into the tables, and goes on behind it.
  /// @param frames  of a row's first view, where the page wants it
  /// @throws ConfigError, SystemError as read_earlier()
  EarlierRun take_earlier(std::span<const ClipRequest> rows, ResumeMode mode,
                          const std::function<const Clip*(std::int64_t row)>& frames);

  /// Writes what is known before the first row: config, environment, manifest.
  /// @throws SystemError the disk is full or fails
  void begin();

  /// Writes a row, and leaves in it what a reader of its part will get.
  /// @throws SystemError the disk is full or fails
  void add(RowOutcome& row);

  /// Gives the last part its name, however few rows it holds.
  /// @throws SystemError the disk is full or fails
  void finish_part();
  /// Writes the tables; of a shard, its failures alone.
  /// @throws SystemError the disk is full or fails
  void finish_tables();

  /// @return parts that have their names, those of earlier runs included
  std::int64_t parts() const { return parts_; }
  const RunStatistics& statistics() const { return tables_.statistics(); }
  RunLog& log() { return log_; }

 private:
  void add_to_part(const RowOutcome& row);

  const Prepared& prepared_;
  RunRecord record_;
  const WorkDir& folder_;
  RunLog log_;
  RunTables tables_;
  std::optional<PartWriter> part_;
  std::int64_t rows_a_part_;
  std::int64_t parts_ = 0;  ///< finished
  std::string continues_;
};

}  // namespace cfp
