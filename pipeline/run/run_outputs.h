// Everything that a run writes, row by row, and made whole at its end.
#pragma once

#include <memory>
#include <string>

#include "pipeline/run/batch_pipeline.h"
#include "pipeline/run/prepare.h"
#include "pipeline/run/run_log.h"
#include "pipeline/run/work_dir.h"
#include "results/report/html_report.h"
#include "results/statistics/run_statistics.h"
#include "results/statistics/tables.h"
#include "results/store/part_writer.h"

namespace cfp {

/// How a run was started, for its records.
struct RunRecord {
  std::string command;                 ///< the command line
  std::vector<std::string> overrides;  ///< `key=value`
  std::vector<std::string> devices;    ///< one entry a replica
};

/// The part, the tables, the page and the log of one run. For one thread at a time.
class RunOutputs {
 public:
  /// Writes what is known before the first row: config, environment, manifest.
  /// @throws SystemError the disk is full or fails
  RunOutputs(const Prepared& prepared, const RunRecord& record, const WorkDir& folder);

  /// @throws SystemError the disk is full or fails
  void add(const RowOutcome& row);

  /// Gives the part and all tables their names, whatever number of rows they hold.
  /// @throws SystemError the disk is full or fails
  void finish();

  const RunStatistics& statistics() const { return statistics_; }
  RunLog& log() { return log_; }

 private:
  const WorkDir& folder_;
  RunLog log_;
  PartWriter part_;
  RunStatistics statistics_;
  FailuresCsv failures_;
  HtmlReport report_;
};

}  // namespace cfp
