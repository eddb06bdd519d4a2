// The tables of a run as HTML. Private to this room.
#pragma once

#include <string>

#include "results/statistics/run_statistics.h"

namespace cfp::html {

/// Headline figures, then tables a layer, a class, of overlaps, of kernels and of failures.
std::string tables(const RunStatistics& statistics);

/// @return the number with `digits` behind the point
std::string fixed(double value, int digits);

}  // namespace cfp::html
