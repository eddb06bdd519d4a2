#include "pipeline/run/work_dir.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <vector>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include "pipeline/run/part_files.h"
#include "stages/core/errors.h"
#include "stages/core/output_file.h"

namespace cfp {
namespace fs = std::filesystem;
namespace {

/// Locked by the process that writes; marks a folder as ours, so that nobody's own files are
/// removed.
constexpr const char* kLockName = ".cfp_run";

/// Files that only the end of a run makes; first the one that says that there was an end.
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

[[noreturn]] void fail_to_read(const fs::path& path, const std::error_code& error) {
  throw SystemError(fmt::format("cannot read the folder '{}': {}", path.string(), error.message()));
}

void make_folder(const fs::path& path) {
  std::error_code making, reading;
  fs::create_directories(path, making);
  const fs::file_status found = fs::status(path, reading);
  if (fs::is_directory(found)) return;
  if (fs::exists(found)) {
    throw ConfigError(
        fmt::format("output.work_dir: '{}' is there and is no folder", path.string()));
  }
  throw SystemError(fmt::format("cannot make the folder '{}': {}", path.string(),
                                (making ? making : reading).message()));
}

void check_is_ours(const fs::path& path) {
  std::error_code error;
  const bool is_empty = fs::is_empty(path, error);
  if (error) fail_to_read(path, error);
  const bool is_marked = fs::exists(path / kLockName, error);
  if (error) fail_to_read(path, error);
  if (is_empty || is_marked) return;
  throw ConfigError(fmt::format(
      "output.work_dir: '{}' holds files that are not of a run; name an empty or a new folder",
      path.string()));
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

/// What other processes were about to write: see Note [Two processes in one folder].
void remove_temporaries(const fs::path& folder) {
  std::vector<fs::path> unfinished;
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error)) {
    const auto name = read_temporary_name(entry->path().filename().string());
    if (name && !name->is_own && is_ours(name->final_name)) unfinished.push_back(entry->path());
  }
  if (error) fail_to_read(folder, error);
  for (const fs::path& file : unfinished) remove_or_throw(file);
}

}  // namespace

void close_descriptor(int descriptor) { close(descriptor); }

WorkDir::WorkDir(fs::path path, Heartbeat heartbeat, FolderLock lock) : path_(std::move(path)) {
  make_folder(path_);
  check_is_ours(path_);
  lock_ = CHandle<int, -1, close_descriptor>(open_lock(path_));
  const bool locked = lock == FolderLock::kTake && lock_file(lock_.get(), path_);
  presence_ = std::make_unique<Presence>(path_, heartbeat, locked);
  remove_temporaries(path_);
  require_own();
}

void WorkDir::remove_results() const {
  remove_ends();
  const std::vector<fs::path> parts = parts_in(path_);
  for (auto part = parts.rbegin(); part != parts.rend(); ++part) remove_or_throw(*part);
  for (const char* name : kRecords) {
    if (name != std::string_view(kPresenceName)) remove_or_throw(path_ / name);
  }
  for (const char* name : kDerived) remove_or_throw(path_ / name);
}

void WorkDir::remove_ends() const {
  require_own();
  for (const char* name : kEnds) remove_or_throw(path_ / name);
}

void make_shared_folder(const fs::path& path) {
  make_folder(path);
  check_is_ours(path);
  close(open_lock(path));
}

}  // namespace cfp
