// A file that says: a process works in this folder, and how far it is.
//
// Note [Two processes in one folder]
// On one machine the lock on `.cfp_run` keeps the second process out, and the kernel gives it back
// however the first one ends. Elsewhere it may be worth nothing: network file systems without
// flock, or mounted so that it counts on one machine, or in one container, alone. So whoever begins
// also claims `running.json`, which the file system gives to one process (finish_first()), and
// raises the number `beat` in it every few seconds. Whoever finds such a file watches it for
// several beats: the number rises, and he stops; it does not, and its writer is dead. No clocks are
// compared. There is nothing to watch where the writer is known to have ended: a process of this
// machine, in the same namespace, that is not there any more.
//
// Whoever takes a folder over puts his own file in the place of the dead one's. Others may do so at
// the same moment, each in the belief that the folder is free: the last of them has it, and the
// others find out after a beat. Then he removes the temporary files of all others, and looks again.
// The one who was thought dead may wake: before he gives a file its name he reads running.json
// anew, with the temporary file written already. Either he read it before the claim, and his file
// is swept away or was renamed before the sweep, or he reads the successor's name, and stops.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "stages/core/errors.h"

namespace cfp {

/// How far a process is with the rows that are its own.
struct Advance {
  std::int64_t rows = 0;    ///< in all
  std::int64_t before = 0;  ///< done or failed when it began: it goes on from there
  std::int64_t done = 0;    ///< explained so far, earlier ones included
  std::int64_t failed = 0;  ///< failed so far, earlier ones included
};

/// Who works in a folder, as its file says.
struct PresenceRecord {
  std::string id;                  ///< of the process, unique
  std::string host;                ///< name of the machine
  std::string boot;                ///< differs from machine to machine, and after a restart
  std::int64_t process = 0;        ///< number of the process there
  std::string process_namespace;   ///< in which it has that number; empty: not known
  std::int64_t process_start = 0;  ///< when it began, as that machine's kernel counts
  std::int64_t beat = 0;           ///< rises while it lives
  std::int64_t beat_ms = 0;        ///< time between two beats, 10 to 60,000 where it was read
  std::string started, seen;       ///< UTC, by its own clock
  double elapsed_s = 0;            ///< since it began
  Advance advance;
};

/// How often a process shows that it lives, and how long others look before they think it dead.
struct Heartbeat {
  std::chrono::milliseconds every{5000};
  int missed = 4;  ///< beats
};

inline constexpr const char* kPresenceName = "running.json";

/// @return what the file says; absent where there is none, or none that can be read
std::optional<PresenceRecord> read_presence(const std::filesystem::path& folder);

/// @return whether its process can be seen from here, and has ended; false where nobody can tell
bool has_ended(const PresenceRecord& record);

/// Waits until the writer of `record` shows that it lives, or has missed enough of its beats.
/// @return whether it lives
bool shows_life(const std::filesystem::path& folder, const PresenceRecord& record, int missed);

/// Another process writes in a folder, from the beginning or in the place of this one. What is in
/// the folder is none of this process's business any more.
class FolderTaken : public SystemError {
 public:
  using SystemError::SystemError;
};

/// @throws FolderTaken always; names who writes there, where that is known
[[noreturn]] void fail_taken(const std::filesystem::path& folder,
                             const std::optional<PresenceRecord>& by);

/// Holds the folder while it lives. Once it is claimed, the file is no result: that a beat cannot
/// be written is passed over.
class Presence {
 public:
  /// Claims the folder; see Note [Two processes in one folder].
  /// @param locked  whether this process has the lock, and so nobody on this machine is there
  /// @throws FolderTaken another process lives there
  /// @throws SystemError the file cannot be written
  Presence(std::filesystem::path folder, Heartbeat heartbeat, bool locked);
  /// Removes the file, where it still is its own.
  ~Presence();
  Presence(const Presence&) = delete;
  Presence& operator=(const Presence&) = delete;

  void set(const Advance& advance);
  /// Reads the file anew.
  /// @throws FolderTaken it is not our own any more
  void require_own() const;

 private:
  bool claim_first() const;
  void claim(bool locked);
  void take_over(const std::optional<PresenceRecord>& from, bool locked);
  bool is_own() const;
  void beat(std::stop_token stop);
  bool write_beat();
  std::string text() const;
  std::filesystem::path file() const { return folder_ / kPresenceName; }

  std::filesystem::path folder_;
  Heartbeat heartbeat_;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  mutable std::mutex mutex_;
  PresenceRecord record_;
  std::condition_variable_any wake_;
  std::jthread thread_;  // last: it ends before what it uses goes
};

}  // namespace cfp
