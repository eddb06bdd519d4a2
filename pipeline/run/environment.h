// environment.json: on what and with what a run was made.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace cfp {

/// @return library -> version, `cfp` and `git` among them
std::map<std::string, std::string> library_versions();

/// The machine, as far as it bears on results and times.
struct Machine {
  std::string cpu;     ///< model name
  int processors = 0;  ///< that this process may use
  std::int64_t memory_bytes = 0;
  std::string system;  ///< kernel name and release
};

Machine describe_machine();

/// @param devices  one entry a replica
/// @param fused    fused_convolutions_available()
/// @return         what to say before a run that is slower than it need be; absent where it is not
std::optional<std::string> slow_run_warning(const std::vector<std::string>& devices, bool fused);

/// @param command  the command line
/// @param devices  one entry a replica
/// @param random_weights  whether the network is untrained
/// @return         the text of environment.json
std::string environment_json(const std::string& command, const std::vector<std::string>& devices,
                             bool random_weights);

}  // namespace cfp
