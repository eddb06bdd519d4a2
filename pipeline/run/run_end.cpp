#include "pipeline/run/run_end.h"

#include <nlohmann/json.hpp>

#include "pipeline/run/json_record.h"
#include "stages/core/output_file.h"

namespace cfp {

std::string_view RunEnd::state() const {
  switch (exit_code) {
    case ExitCode::kDone:
      return "complete";
    case ExitCode::kTooManyFailures:
      return "too_many_failures";
    case ExitCode::kStopped:
    case ExitCode::kInterrupted:
      return "stopped";
    default:
      return "failed";
  }
}

void write_run_end(const std::filesystem::path& folder, RunLog& log, const RunEnd& end) {
  const nlohmann::ordered_json json{{"state", end.state()},
                                    {"exit_code", static_cast<int>(end.exit_code)},
                                    {"asked", end.asked},
                                    {"done", end.done},
                                    {"failed", end.failed},
                                    {"reason", end.reason},
                                    {"random_weights", end.random_weights},
                                    {"ended", utc_time()},
                                    {"wall_s", end.wall_s}};
  log.write("end", json);
  write_file(folder / "run.json",
             json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + '\n');
}

std::optional<RunEnd> read_run_end(const std::filesystem::path& folder) {
  try {
    const JsonRecord record = JsonRecord::of_file(folder / "run.json");
    return RunEnd{.exit_code = static_cast<ExitCode>(record.count("exit_code")),
                  .asked = record.count("asked"),
                  .done = record.count("done"),
                  .failed = record.count("failed"),
                  .reason = record.text("reason"),
                  .random_weights = record.boolean("random_weights"),
                  .wall_s = record.real("wall_s")};
  } catch (const SystemError&) {
    return std::nullopt;
  }
}

}  // namespace cfp
