// run.json: how a run ended. Written last; its presence says that the folder holds results.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "pipeline/run/run_log.h"
#include "stages/core/errors.h"

namespace cfp {

struct RunEnd {
  std::string state;  ///< `complete`, `stopped`, `too_many_failures`
  ExitCode exit_code = ExitCode::kDone;
  std::int64_t asked = 0, done = 0, failed = 0;  ///< rows
  std::string reason;                            ///< why it is not complete; empty otherwise
  bool random_weights = false;
  double wall_s = 0;  ///< of the last process

  bool is_complete() const { return state == "complete"; }
};

/// @return the state that goes with an exit code
std::string state_of(ExitCode code);

/// Writes run.json, and a line of the log that says the same.
/// @throws SystemError the disk is full or fails
void write_run_end(const std::filesystem::path& folder, RunLog& log, const RunEnd& end);

/// @return what run.json of a folder says; absent where there is none that can be read
std::optional<RunEnd> read_run_end(const std::filesystem::path& folder);

}  // namespace cfp
