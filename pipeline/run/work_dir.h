// The folder of a run's results, held by one process at a time.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "pipeline/run/presence.h"
#include "stages/core/c_handle.h"

namespace cfp {

/// Closes a file descriptor.
void close_descriptor(int descriptor);

/// What keeps a second process on the same machine out.
enum class FolderLock {
  kTake,  ///< a lock, where the file system has them
  kNone   ///< nothing but running.json, as on a file system without locks
};

/// A folder that this process may fill: it exists, can be written, and nobody else writes there.
class WorkDir {
 public:
  /// Makes the folder where it is missing, locks it, says so in it (presence.h), and removes the
  /// unfinished files that a killed run left. Results stay.
  ///
  /// @throws ConfigError it is no folder, or holds files of somebody else
  /// @throws FolderTaken another process writes there
  /// @throws SystemError it cannot be made, read or written
  explicit WorkDir(std::filesystem::path path, Heartbeat heartbeat = {},
                   FolderLock lock = FolderLock::kTake);

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }

  /// Removes everything that an earlier run left, and nothing else. Killed in between, it leaves
  /// what an interrupted run would: the first parts, and no end.
  /// @throws SystemError something cannot be removed
  void remove_results() const;
  /// Removes what only the end of a run makes; parts and the log stay.
  /// @throws SystemError something cannot be removed
  void remove_ends() const;

  /// Shows others how far the run is.
  void set(const Advance& advance) const { presence_->set(advance); }
  /// To be asked before anything gets its final name here; reads a small file.
  /// @throws FolderTaken another process has taken this one for dead and writes here
  void require_own() const { presence_->require_own(); }

 private:
  std::filesystem::path path_;
  CHandle<int, -1, close_descriptor> lock_;
  std::unique_ptr<Presence> presence_;  // goes before the lock
};

/// Makes a folder that holds the folders of shards, which each have a lock of their own.
/// @throws ConfigError, SystemError as WorkDir
void make_shared_folder(const std::filesystem::path& path);

/// The folders below it of clips that were rendered, and of graphs that were exported.
inline constexpr const char* kOverlaysName = "overlays";
inline constexpr const char* kGraphsName = "graphs";
/// What `cfp merge` makes of the parts.
inline constexpr const char* kMergedName = "merged.h5";

}  // namespace cfp
