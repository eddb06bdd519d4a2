// A file that says: a process works in this folder, and how far it is.
//
// Note [Two processes in one folder]
// On one machine the lock on `.cfp_run` keeps the second process out, and the kernel gives it back
// however the first one ends. Between machines it may be worth nothing: network file systems
// without flock, or mounted so that it counts on one machine alone. So the first process also keeps
// `running.json`, and raises the number `beat` in it every few seconds. Whoever finds such a file
// of another machine, or cannot lock, watches it for several beats: the number rises, and he stops;
// it does not, and its writer is dead. No clocks are compared. Whoever takes a folder over writes a
// file of his own; a process that finds another's file in the place of its own has been taken for
// dead, and stops.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

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
  std::string id;             ///< of the process, unique
  std::string host;           ///< name of the machine
  std::string boot;           ///< differs from machine to machine, and after a restart
  std::int64_t process = 0;   ///< number of the process there
  std::int64_t beat = 0;      ///< rises while it lives
  std::int64_t beat_ms = 0;   ///< time between two beats
  std::string started, seen;  ///< UTC, by its own clock
  double elapsed_s = 0;       ///< since it began
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

/// @return whether the record is of the machine that this process runs on, since its last start
bool is_of_this_machine(const PresenceRecord& record);

/// Waits until the writer of `record` shows that it lives, or has missed enough of its beats.
/// @return whether it lives
bool shows_life(const std::filesystem::path& folder, const PresenceRecord& record, int missed);

/// Keeps the file while it lives. The file is no result: that it cannot be written is passed over.
class Presence {
 public:
  Presence(std::filesystem::path folder, Heartbeat heartbeat);
  /// Removes the file, where it still is its own.
  ~Presence();
  Presence(const Presence&) = delete;
  Presence& operator=(const Presence&) = delete;

  void set(const Advance& advance);
  /// @return who has taken the folder over; absent while it is our own
  std::optional<PresenceRecord> successor() const;

 private:
  void beat(std::stop_token stop);
  void write();

  std::filesystem::path folder_;
  Heartbeat heartbeat_;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  mutable std::mutex mutex_;
  PresenceRecord record_;
  std::optional<PresenceRecord> successor_;
  std::condition_variable_any wake_;
  std::jthread thread_;  // last: it ends before what it uses goes
};

}  // namespace cfp
