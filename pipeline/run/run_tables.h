// What is said of all clips of a run together: tables, failures, page. Fed row by row, be it while
// a run computes them or from its parts, with the same result to the last bit.
#pragma once

#include <filesystem>
#include <functional>
#include <span>

#include "results/report/html_report.h"
#include "results/statistics/run_statistics.h"
#include "results/statistics/tables.h"
#include "stages/core/clip.h"

namespace cfp {

class RunTables {
 public:
  /// @param summary_clips  that the page pictures
  /// @throws SystemError the folder cannot be written
  RunTables(std::filesystem::path folder, RunInfo info, int summary_clips);

  /// Gives the frames of a row's first view; null: they cannot be had, and are left out.
  using Frames = std::function<const Clip*()>;

  /// Adds an explained row; rows come in the manifest's order.
  /// @throws std::logic_error it does not fit the rows before
  void add(std::span<const ClipResult> views, const Frames& frames);
  /// @throws SystemError the disk is full or fails
  void add(const Failure& failure);

  /// Writes all tables, failures.csv and the page.
  /// @throws SystemError the disk is full or fails
  void write();
  /// Writes failures.csv alone.
  /// @throws SystemError the disk is full or fails
  void write_failures() { failures_.finish(); }

  const RunStatistics& statistics() const { return statistics_; }

 private:
  std::filesystem::path folder_;
  RunStatistics statistics_;
  FailuresCsv failures_;
  HtmlReport report_;
};

}  // namespace cfp
