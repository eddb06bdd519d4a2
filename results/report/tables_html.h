// The tables of a run as HTML. Private to this room.
#pragma once

#include <string>

#include "results/statistics/run_statistics.h"

namespace cfp::html {

/// What was run, how many clips, accuracy, size of the pyramids, times.
std::string headline(const RunStatistics& statistics);

/// Tables a layer, a class, of confusions, overlaps, kernels and failures.
std::string tables(const RunStatistics& statistics);

/// @return the number with `digits` behind the point
std::string fixed(double value, int digits);

}  // namespace cfp::html
