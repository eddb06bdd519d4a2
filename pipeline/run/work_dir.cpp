#include "pipeline/run/work_dir.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>
#include <system_error>
#include <vector>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include "pipeline/run/part_files.h"
#include "stages/core/errors.h"

namespace cfp {
namespace fs = std::filesystem;
namespace {

/// Locked by the process that writes; marks a folder as ours, so that nobody's own files are
/// removed.
constexpr const char* kLockName = ".cfp_run";

/// Files that only the end of a run makes.
constexpr const char* kEnds[] = {"run.json",          "summary.json",  "summary.csv",
                                 "per_class.csv",     "per_layer.csv", "per_layer_class.csv",
                                 "per_kernel.csv",    "confusion.csv", "summary.html",
                                 "class_overlap.csv", "failures.csv",  kMergedName};

/// Files that a run writes before, and that say what it was.
constexpr const char* kRecords[] = {"config.yaml",  "overrides.txt", "environment.json",
                                    "manifest.csv", "log.jsonl",     kPresenceName,
                                    "identity.json"};

/// Folders of what `cfp render` and `cfp export-graph` made of an earlier run's results.
constexpr const char* kDerived[] = {kOverlaysName, kGraphsName};

bool is_ours(const std::string& name) {
  const auto is = [&](const char* known) { return name == known; };
  return std::ranges::any_of(kEnds, is) || std::ranges::any_of(kRecords, is) ||
         part_number(name).has_value();
}

void make_folder(const fs::path& path) {
  std::error_code error;
  fs::create_directories(path, error);
  if (fs::is_directory(path)) return;
  if (fs::exists(path)) {
    throw ConfigError(
        fmt::format("output.work_dir: '{}' is there and is no folder", path.string()));
  }
  throw SystemError(fmt::format("cannot make the folder '{}': {}", path.string(), error.message()));
}

void check_is_ours(const fs::path& path) {
  if (!fs::is_empty(path) && !fs::exists(path / kLockName)) {
    throw ConfigError(fmt::format(
        "output.work_dir: '{}' holds files that are not of a run; name an empty or a new folder",
        path.string()));
  }
}

[[noreturn]] void fail_taken(const fs::path& path, const std::optional<PresenceRecord>& by) {
  throw SystemError(fmt::format(
      "another run is writing in '{}'{}", path.string(),
      by ? fmt::format(": process {} on {}, begun {}", by->process, by->host, by->started) : ""));
}

/// See Note [Two processes in one folder].
void check_nobody_is_there(const fs::path& path, bool locked, int missed_beats) {
  const std::optional<PresenceRecord> other = read_presence(path);
  // A lock that we hold on the machine where the other one had it: it is gone.
  if (!other || (locked && is_of_this_machine(*other))) return;
  if (shows_life(path, *other, missed_beats)) fail_taken(path, other);
}

int open_lock(const fs::path& path) {
  const int descriptor = open((path / kLockName).c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (descriptor < 0) {
    throw SystemError(
        fmt::format("cannot write in the folder '{}': {}", path.string(), std::strerror(errno)));
  }
  return descriptor;
}

/// @return whether the lock is held; false: the file system has no locks
bool lock_file(int descriptor, const fs::path& path) {
  if (flock(descriptor, LOCK_EX | LOCK_NB) == 0) return true;
  if (errno == EWOULDBLOCK) fail_taken(path, read_presence(path));
  if (errno == EOPNOTSUPP || errno == ENOLCK || errno == ENOSYS || errno == EINVAL) return false;
  throw SystemError(
      fmt::format("cannot lock '{}': {}", (path / kLockName).string(), std::strerror(errno)));
}

void remove_or_throw(const fs::path& path) {
  std::error_code error;
  fs::remove_all(path, error);
  if (error) {
    throw SystemError(fmt::format("cannot remove '{}': {}", path.string(), error.message()));
  }
}

/// What a killed run was about to write.
void remove_temporaries(const fs::path& folder) {
  std::vector<fs::path> unfinished;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const fs::path& file = entry.path();
    if (file.extension() == ".tmp" && is_ours(file.stem().string())) unfinished.push_back(file);
  }
  for (const fs::path& file : unfinished) remove_or_throw(file);
}

}  // namespace

void close_descriptor(int descriptor) { close(descriptor); }

WorkDir::WorkDir(fs::path path, Heartbeat heartbeat) : path_(std::move(path)) {
  make_folder(path_);
  check_is_ours(path_);
  lock_ = CHandle<int, -1, close_descriptor>(open_lock(path_));
  check_nobody_is_there(path_, lock_file(lock_.get(), path_), heartbeat.missed);
  presence_ = std::make_unique<Presence>(path_, heartbeat);
  remove_temporaries(path_);
}

void WorkDir::remove_results() const {
  for (const char* name : kEnds) remove_or_throw(path_ / name);
  for (const fs::path& part : parts_in(path_)) remove_or_throw(part);
  for (const char* name : kRecords) {
    if (name != std::string_view(kPresenceName)) remove_or_throw(path_ / name);
  }
  for (const char* name : kDerived) remove_or_throw(path_ / name);
}

void WorkDir::remove_ends() const {
  for (const char* name : kEnds) remove_or_throw(path_ / name);
}

void WorkDir::require_own() const {
  if (const auto other = presence_->successor()) fail_taken(path_, other);
}

void make_shared_folder(const fs::path& path) {
  make_folder(path);
  check_is_ours(path);
  close(open_lock(path));
}

}  // namespace cfp
