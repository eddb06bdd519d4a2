// The headline numbers of all points, from their folders alone.
#pragma once

#include <string>

#include "pipeline/sweep/sweep_points.h"

namespace cfp {

/// One line a point: its settings, state, clips, accuracy, kernels, edges and times. Cells are
/// empty where a point has no summary yet.
std::string sweep_csv(const Sweep& sweep);

/// Writes sweep.csv into the sweep's folder, which other jobs of the sweep may do at the same time.
/// @throws SystemError the disk is full or fails
void write_sweep_csv(const Sweep& sweep);

/// @return lines for people: which points there are, the job that each is in, and its state
std::string describe(const Sweep& sweep);

}  // namespace cfp
