// What this program was built from; written at build time by build_info.cmake.
#pragma once

#include <map>
#include <string>

namespace cfp {

struct BuildInfo {
  std::string version;                           ///< of cfp
  std::string git;                               ///< `git describe` of the checkout, or `unknown`
  std::string compiler;                          ///< name and version
  std::string build_type;                        ///< `Release`, …
  std::map<std::string, std::string> libraries;  ///< those that it was built with, by version
};

const BuildInfo& build_info();

}  // namespace cfp
