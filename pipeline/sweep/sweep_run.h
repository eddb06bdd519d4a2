// The jobs of a sweep, one after the other.
#pragma once

#include <functional>
#include <optional>

#include "pipeline/sweep/sweep_points.h"

namespace cfp {

/// Tells of a point that has come to its end, or could not be run.
using PointEnded = std::function<void(const SweepPoint& point, const RunSummary& summary)>;

/// Runs all jobs, or one, and keeps sweep.csv up to date. A job that cannot be run does not keep
/// the others from it; a signal ends all.
///
/// @param job   absent: all
/// @return the exit code of the first point that did not end with kDone
/// @throws ConfigError there is no such job
/// @throws SystemError sweep.csv cannot be written
ExitCode run_sweep(const Sweep& sweep, std::optional<std::size_t> job, const RunOptions& options,
                   const PointEnded& ended);

}  // namespace cfp
