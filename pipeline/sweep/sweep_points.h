// A sweep as runs: the config of each point, and which of them are done together.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "pipeline/run/run.h"
#include "pipeline/sweep/sweep_settings.h"

namespace cfp {

struct SweepPoint {
  std::string name;  ///< of its folder
  PointSettings settings;
  RunPoint run;
  std::size_t job = 0;  ///< which of Sweep::jobs it is in
};

struct Sweep {
  std::string name;
  std::filesystem::path folder;  ///< that holds the points' folders
  std::vector<SweepPoint> points;
  /// Points that differ only in what comes after the forward pass: indices, ascending.
  std::vector<std::vector<std::size_t>> jobs;
};

/// @param words  behind the config's name on the command line
/// @param zip    whether values are taken side by side instead of combined
/// @throws ConfigError a point's config is not one; names the point
Sweep plan_sweep(const std::filesystem::path& config, const std::vector<std::string>& words,
                 bool zip);

}  // namespace cfp
