// Whether results belong together: the same config, the same clips, the same weights.
#pragma once

#include <string>
#include <vector>

#include "pipeline/run/prepare.h"
#include "results/store/part_header.h"

namespace cfp {

/// Hashes of what decides on results.
struct RunIdentity {
  std::string config, manifest, weights;  ///< hexadecimal

  bool operator==(const RunIdentity&) const = default;
};

RunIdentity identity_of(const Prepared& prepared);
RunIdentity identity_of(const PartHeader& header);

/// @return the hashes with blanks between them, as `continues` of a part lists them
std::string to_line(const RunIdentity& identity);

/// Results together with the config that they were made with.
struct KnownRun {
  RunIdentity identity;
  std::string config;  ///< resolved, as YAML
};

/// Says which hashes differ, and of configs which keys, with both values.
/// @param place  of the earlier config, for messages
/// @return       a line for each difference; empty where there is none
std::string describe_difference(const KnownRun& earlier, const std::string& place,
                                const Prepared& now);

/// Says whether the network's outputs have other names: these come from files whose contents no
/// config holds, and labels are joined by them.
/// @return a line; empty where they are the same
std::string describe_other_classes(const std::vector<std::string>& earlier,
                                   const std::vector<std::string>& now);

/// The config that a part was made with.
/// @param preprocess  is set to the steps that the clips went through
/// @throws SystemError it is not one of this version
ResolvedConfig config_of_part(const PartHeader& header, const std::string& file,
                              PreprocessOptions& preprocess);

/// @return whether a part of this identity belongs to the run that `last`, its last part, is of
bool belongs_to(const RunIdentity& identity, const PartHeader& last);

}  // namespace cfp
