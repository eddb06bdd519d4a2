// The headline figures of a run for programs.
#pragma once

#include <string>

#include "results/statistics/run_statistics.h"

namespace cfp {

/// @return summary.json: UTF-8, indented; docs/results.md has its keys
std::string summary_json(const RunStatistics& statistics);

}  // namespace cfp
