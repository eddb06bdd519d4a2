// run.json: how a run ended. Written last; its presence says that the folder holds results.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "pipeline/run/run_log.h"
#include "stages/core/errors.h"

namespace cfp {

struct RunEnd {
  ExitCode exit_code = ExitCode::kDone;
  std::int64_t asked = 0;       ///< rows of the manifest, or of the shard
  std::int64_t done = 0;        ///< rows explained
  std::int64_t failed = 0;      ///< rows that could not be
  std::string reason;           ///< why it is not complete, in words; empty otherwise
  bool random_weights = false;  ///< the numbers say nothing about the clips
  double wall_s = 0;            ///< of the last process

  bool is_complete() const { return exit_code == ExitCode::kDone; }
  /// @return `complete`, `stopped`, `too_many_failures` or `failed`
  std::string_view state() const;
};

/// Writes run.json, and a line of the log that says the same.
/// @throws SystemError the disk is full or fails
void write_run_end(const std::filesystem::path& folder, RunLog& log, const RunEnd& end);

/// @return what run.json of a folder says; absent where there is none that can be read
std::optional<RunEnd> read_run_end(const std::filesystem::path& folder);

}  // namespace cfp
