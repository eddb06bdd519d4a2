#include "pipeline/sweep/sweep_run.h"

#include <fmt/format.h>

#include "pipeline/sweep/sweep_table.h"
#include "stages/core/errors.h"

namespace cfp {
namespace {

/// @return one summary a point of the job, also where it could not be run
std::vector<RunSummary> run_job(const Sweep& sweep, const std::vector<std::size_t>& job,
                                const RunOptions& options) {
  std::vector<RunPoint> points;
  for (const std::size_t i : job) points.push_back(sweep.points[i].run);
  const auto failed = [&](ExitCode code, const char* what) {
    return std::vector<RunSummary>(job.size(), {.end = {.exit_code = code, .reason = what}});
  };
  try {
    return run_together(std::move(points), options);
  } catch (const ConfigError& error) {
    return failed(ExitCode::kConfig, error.what());
  } catch (const SystemError& error) {
    return failed(ExitCode::kSystem, error.what());
  }
}

bool is_stop(ExitCode code) { return code == ExitCode::kStopped || code == ExitCode::kInterrupted; }

}  // namespace

ExitCode run_sweep(const Sweep& sweep, std::optional<std::size_t> job, const RunOptions& options,
                   const PointEnded& ended) {
  if (job && *job >= sweep.jobs.size()) {
    throw ConfigError(
        fmt::format("--job {}: the sweep has {} jobs, counted from 0", *job, sweep.jobs.size()));
  }
  ExitCode code = ExitCode::kDone;
  for (std::size_t j = 0; j < sweep.jobs.size() && !is_stop(code); ++j) {
    if (job && j != *job) continue;
    const std::vector<RunSummary> summaries = run_job(sweep, sweep.jobs[j], options);
    for (std::size_t i = 0; i < summaries.size(); ++i) {
      const ExitCode end = summaries[i].end.exit_code;
      if (code == ExitCode::kDone || is_stop(end)) code = end;
      ended(sweep.points[sweep.jobs[j][i]], summaries[i]);
    }
    write_sweep_csv(sweep);
  }
  return code;
}

}  // namespace cfp
