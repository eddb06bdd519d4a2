// What a sweep goes through: from the config's section and the command line to one list of settings
// a point.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "pipeline/config/config_tree.h"

namespace cfp {

/// Keys and their values in one point, as `key=value` overrides take them, in the order of the
/// sweep.
using PointSettings = std::vector<std::pair<std::string, std::string>>;

/// Values of one key.
struct SweepAxis {
  std::string key;
  std::vector<std::string> values;
};

/// How axes are combined.
enum class SweepMode {
  kGrid,  ///< all combinations; the last axis changes fastest
  kZip    ///< first with first, second with second, …
};

/// The words behind the config's name on the command line.
struct SweepArguments {
  std::vector<SweepAxis> axes;         ///< `key=a,b,c`
  std::vector<std::string> overrides;  ///< `key=value`, of all points
};

inline constexpr std::size_t kMostPoints = 10'000;

/// Commas separate values, but not inside brackets, braces and quotes.
/// @throws ConfigError a word is no `key=value`
SweepArguments parse_sweep_arguments(const std::vector<std::string>& words);

/// Makes axes of one value of those overrides whose key the section goes through: what the command
/// line says replaces what the section says. `network` is the same key as `network.type`.
void take_axes_of(const ConfigTree& section, SweepArguments& arguments);

/// @param section  the config's section `sweep`; null: there is none
/// @param axes     of the command line; one replaces the section's axis of the same key
/// @param zip      whether the command line asks for kZip
/// @return the settings of each point
/// @throws ConfigError the section is not what docs/configuration.md says, axes differ in length
///         where they are zipped, or there are no points, or more than kMostPoints
std::vector<PointSettings> sweep_settings(const ConfigTree& section,
                                          const std::vector<SweepAxis>& axes, bool zip);

/// @return names for folders, unique and free of anything but letters, digits and `.,=+_-`; a
///         point's name does not depend on the others but where two would be the same
std::vector<std::string> point_names(const std::vector<PointSettings>& points);

}  // namespace cfp
