// One of the runs that share decoding and forward passes: its folder, from what is there already to
// its end.
//
//   RunInFolder run(prepared, record, folder, rows);
//   run.begin(ResumeMode::kSame, decoder);
//   for (std::int64_t i = run.earlier().rows(); …) run.add(i, row);
//   run.finish_part();
//   const RunSummary summary = run.finish(end, wall);
#pragma once

#include <chrono>
#include <cstdint>
#include <span>
#include <string>

#include "pipeline/run/prepare.h"
#include "pipeline/run/resume.h"
#include "pipeline/run/run.h"
#include "pipeline/run/run_outputs.h"
#include "pipeline/run/work_dir.h"
#include "stages/decode/clip_decoder.h"

namespace cfp {

/// For one thread at a time, but for the log.
class RunInFolder {
 public:
  /// @param rows  of the run or of the shard; they and the others outlive it
  /// @throws SystemError the disk is full or fails
  RunInFolder(const Prepared& prepared, RunRecord record, const WorkDir& folder,
              std::span<const ClipRequest> rows);

  const Prepared& prepared() const { return prepared_; }
  const EarlierRun& earlier() const { return earlier_; }
  RunLog& log() { return outputs_.log(); }

  /// Reads what is there, and writes what is known before the first row.
  /// @param decoder  for the pictures of the page
  /// @throws ConfigError, SystemError as RunOutputs
  void begin(ResumeMode resume, const ClipDecoder& decoder);

  /// Takes a row that it does not have yet.
  /// @param index  of the row among those of the run
  /// @throws SystemError the disk is full or fails
  void add(std::int64_t index, RowOutcome& row);

  /// Gives the last part its name.
  /// @throws SystemError the disk is full or fails
  void finish_part();

  /// Tells the log of an error of the machine, and how many rows are in whole parts. Does not throw
  /// where the disk is that error.
  void log_error(const std::string& message);

  /// Writes what goes with the end, and renders what was asked for.
  /// @param summary  how it ended: exit code and reason
  /// @return the same with the counts of this run
  /// @throws SystemError the disk is full or fails
  RunSummary finish(RunEnd end, std::chrono::duration<double> wall);

 private:
  EarlierRun take_earlier(ResumeMode resume, const ClipDecoder& decoder);

  const Prepared& prepared_;
  const WorkDir& folder_;
  std::span<const ClipRequest> rows_;
  bool is_shard_;
  RunOutputs outputs_;
  EarlierRun earlier_;
  Advance advance_;
  Advance saved_;  ///< what of it is in whole parts
};

}  // namespace cfp
