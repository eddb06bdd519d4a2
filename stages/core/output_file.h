// Files that are there whole or not at all.
//
//   OutputFile file(folder / "per_class.csv");
//   file.write("class,clips\n");
//   file.finish();   // without it nothing stays behind
//
// Note [Names of temporary files]
// Processes on several machines may write the same file at once: jobs that share a table, or two
// that were given the same shard by mistake. Under one temporary name each would cut off what the
// other has written, or rename it half done. So the name holds the process, and whoever takes a
// folder over may remove the temporary files of all others: a process that was thought dead and
// wakes cannot rename what is gone.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "stages/core/errors.h"

namespace cfp {

/// Where this process writes a file before it is whole: `table.csv.4711-90abcdef.tmp`, with the
/// number of the process and a random one. See Note [Names of temporary files].
std::filesystem::path temporary_path(const std::filesystem::path& path);

/// What the name of a temporary file says.
struct TemporaryName {
  std::string final_name;
  bool is_own = false;  ///< of this process
};

/// @return absent for a name that temporary_path() does not make
std::optional<TemporaryName> read_temporary_name(std::string_view name);

/// A temporary file was removed before it got its name: by a process that took the folder over, in
/// the belief that this one was dead.
class TemporaryGone : public SystemError {
 public:
  using SystemError::SystemError;
};

/// Makes `temporary_path(path)` durable and gives it its final name: syncs the file, renames it,
/// syncs the folder. A file that has the final name already is replaced in one step.
/// @throws TemporaryGone, SystemError any of these fails; names the path
void publish_file(const std::filesystem::path& path);

/// A file that appears under its name when finish() has made it whole and durable.
class OutputFile {
 public:
  /// @throws SystemError the folder is missing or cannot be written
  explicit OutputFile(std::filesystem::path path);
  /// Removes the unfinished file, where finish() has not been reached.
  ~OutputFile();
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;

  /// @throws SystemError the disk is full or fails
  void write(std::string_view bytes);
  /// @throws TemporaryGone, SystemError the disk is full or fails
  void finish();
  /// Like finish(), but asks before the file gets its name, when the temporary one is whole.
  /// @param may_publish  false: nothing stays behind
  /// @throws TemporaryGone, SystemError the disk is full or fails
  void finish_if(const std::function<bool()>& may_publish);
  /// Like finish(), where no file has the name yet: of several processes that try, one succeeds.
  /// @return whether it was this one; if not, nothing of it stays behind
  /// @throws TemporaryGone, SystemError the disk is full or fails
  bool finish_first();

  const std::filesystem::path& path() const { return path_; }

 private:
  void flush();
  void close();

  std::filesystem::path path_;
  std::string buffer_;
  int descriptor_ = -1;
};

/// Writes a whole file at once.
/// @throws SystemError as OutputFile
void write_file(const std::filesystem::path& path, std::string_view bytes);

}  // namespace cfp
