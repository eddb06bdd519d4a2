// The folder of a run's results, held by one process at a time.
#pragma once

#include <filesystem>
#include <string>

#include "stages/core/c_handle.h"

namespace cfp {

/// Closes a file descriptor.
void close_descriptor(int descriptor);

/// A folder that this process may fill: it exists, can be written, and nobody else writes there.
class WorkDir {
 public:
  /// Makes the folder where it is missing, and locks it.
  ///
  /// @param overwrite  whether the results of an earlier run may go; they are removed here
  /// @throws ConfigError it holds results and may not be overwritten, is no folder, or holds files
  /// of somebody else
  /// @throws SystemError it cannot be made or written, or another process writes there
  WorkDir(std::filesystem::path path, bool overwrite);

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
  CHandle<int, -1, close_descriptor> lock_;
};

/// The name of a run's HDF5 file.
inline constexpr const char* kPartName = "part-00000.h5";

/// The folders below it of clips that were rendered, and of graphs that were exported.
inline constexpr const char* kOverlaysName = "overlays";
inline constexpr const char* kGraphsName = "graphs";

}  // namespace cfp
