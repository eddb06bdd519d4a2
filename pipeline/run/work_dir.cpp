#include "pipeline/run/work_dir.h"

#include <cerrno>
#include <cstring>
#include <system_error>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include "stages/core/errors.h"

namespace cfp {
namespace fs = std::filesystem;
namespace {

/// Locked by the process that writes; marks a folder as ours, so that nobody's own files are
/// removed.
constexpr const char* kLockName = ".cfp_run";

/// Files that only a run that came to an end leaves, or that say what it was.
constexpr const char* kResults[] = {
    kPartName,       "run.json",          "summary.json",        "summary.csv",
    "per_class.csv", "per_layer.csv",     "per_layer_class.csv", "per_kernel.csv",
    "confusion.csv", "class_overlap.csv", "summary.html",        "failures.csv",
    "config.yaml",   "overrides.txt",     "environment.json",    "manifest.csv",
    "log.jsonl"};

/// Folders of what `cfp render` and `cfp export-graph` made of an earlier run's results.
constexpr const char* kDerived[] = {kOverlaysName, kGraphsName};

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

void check_is_ours(const fs::path& path, bool overwrite) {
  if (!fs::is_empty(path) && !fs::exists(path / kLockName)) {
    throw ConfigError(fmt::format(
        "output.work_dir: '{}' holds files that are not of a run; name an empty or a new folder",
        path.string()));
  }
  if (!overwrite && (fs::exists(path / kPartName) || fs::exists(path / "run.json"))) {
    throw ConfigError(fmt::format(
        "output.work_dir: '{}' holds the results of an earlier run; name another folder, or set "
        "output.overwrite=true to replace them",
        path.string()));
  }
}

int lock_folder(const fs::path& path) {
  const fs::path file = path / kLockName;
  const int descriptor = open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (descriptor < 0) {
    throw SystemError(
        fmt::format("cannot write in the folder '{}': {}", path.string(), std::strerror(errno)));
  }
  if (flock(descriptor, LOCK_EX | LOCK_NB) != 0) {
    const int reason = errno;
    close(descriptor);
    throw SystemError(
        reason == EWOULDBLOCK
            ? fmt::format("another run is writing in '{}'", path.string())
            : fmt::format("cannot lock '{}': {}", file.string(), std::strerror(reason)));
  }
  return descriptor;
}

/// @param remove  takes a path and an error code
template <class Remove>
void remove_or_throw(const fs::path& path, Remove&& remove) {
  std::error_code error;
  remove(path, error);
  if (error) {
    throw SystemError(fmt::format("cannot remove '{}': {}", path.string(), error.message()));
  }
}

}  // namespace

void close_descriptor(int descriptor) { close(descriptor); }

WorkDir::WorkDir(fs::path path, bool overwrite) : path_(std::move(path)) {
  make_folder(path_);
  check_is_ours(path_, overwrite);
  lock_ = CHandle<int, -1, close_descriptor>(lock_folder(path_));
  const auto remove = [](const fs::path& file, std::error_code& error) { fs::remove(file, error); };
  const auto remove_all = [](const fs::path& folder, std::error_code& error) {
    fs::remove_all(folder, error);
  };
  for (const char* name : kResults) remove_or_throw(path_ / name, remove);
  if (!overwrite) return;
  for (const char* name : kDerived) remove_or_throw(path_ / name, remove_all);
}

}  // namespace cfp
