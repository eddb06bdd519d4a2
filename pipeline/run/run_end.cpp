#include "pipeline/run/run_end.h"

#include <fstream>

#include <nlohmann/json.hpp>

#include "stages/core/output_file.h"

namespace cfp {

std::string state_of(ExitCode code) {
  switch (code) {
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
  const nlohmann::ordered_json json{{"state", end.state},
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
  std::ifstream file(folder / "run.json");
  try {
    const auto json = nlohmann::json::parse(file);
    return RunEnd{.state = json.at("state"),
                  .exit_code = static_cast<ExitCode>(json.at("exit_code").get<int>()),
                  .asked = json.at("asked"),
                  .done = json.at("done"),
                  .failed = json.at("failed"),
                  .reason = json.at("reason"),
                  .random_weights = json.at("random_weights"),
                  .wall_s = json.at("wall_s")};
  } catch (const nlohmann::json::exception&) {
    return std::nullopt;
  }
}

}  // namespace cfp
