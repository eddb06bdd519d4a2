#include "stages/core/output_file.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <random>
#include <stdexcept>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace cfp {
namespace {

constexpr std::size_t kBufferBytes = 64 * 1024;
constexpr std::string_view kEnding = ".tmp";
constexpr std::size_t kRandomDigits = 8;

[[noreturn]] void fail(const std::filesystem::path& path, std::string_view what, int error) {
  throw SystemError(path.string() + ": " + std::string(what) + ": " + std::strerror(error));
}

/// Opens something, syncs it and closes it again.
void sync_path(const std::filesystem::path& path, int flags) {
  const int descriptor = ::open(path.c_str(), flags | O_CLOEXEC);
  if (descriptor < 0) fail(path, "cannot open it to sync it", errno);
  const int status = ::fsync(descriptor);
  const int error = errno;
  ::close(descriptor);
  // Some network file systems cannot sync a folder and say so with EINVAL; the rename holds there.
  if (status != 0 && !(error == EINVAL && (flags & O_DIRECTORY) != 0)) {
    fail(path, "cannot sync it to disk", error);
  }
}

void sync_folder_of(const std::filesystem::path& path) {
  const std::filesystem::path folder = path.parent_path();
  sync_path(folder.empty() ? "." : folder, O_RDONLY | O_DIRECTORY);
}

/// @throws TemporaryGone if that is why `error` came
void require_temporary(const std::filesystem::path& path, int error) {
  const std::filesystem::path temporary = temporary_path(path);
  if (error != ENOENT || ::access(temporary.c_str(), F_OK) == 0) return;
  throw TemporaryGone(path.string() + ": cannot be finished: " + temporary.filename().string() +
                      " was removed, as by a process that took this one for dead");
}

void sync_temporary(const std::filesystem::path& path) {
  const std::filesystem::path temporary = temporary_path(path);
  if (::access(temporary.c_str(), F_OK) != 0) require_temporary(path, errno);
  sync_path(temporary, O_RDONLY);
}

/// What tells this process from any other, also on another machine: its number there, and a random
/// one. The number is asked for each time, because a fork has the random one of its parent.
std::string process_tag() {
  static const std::string random = [] {
    char digits[kRandomDigits + 1];
    std::snprintf(digits, sizeof digits, "%08x", std::random_device()());
    return std::string(digits);
  }();
  return std::to_string(::getpid()) + '-' + random;
}

bool is_tag(std::string_view text) {
  const std::size_t dash = text.find('-');
  const auto all_of = [](std::string_view part, std::string_view digits) {
    return !part.empty() && part.find_first_not_of(digits) == std::string_view::npos;
  };
  return dash != std::string_view::npos && text.size() - dash - 1 == kRandomDigits &&
         all_of(text.substr(0, dash), "0123456789") &&
         all_of(text.substr(dash + 1), "0123456789abcdef");
}

/// Some file systems have no hard links; then an empty file takes the name first.
bool has_no_links(int error) {
  return error == EPERM || error == EOPNOTSUPP || error == ENOSYS || error == EMLINK;
}

}  // namespace

std::filesystem::path temporary_path(const std::filesystem::path& path) {
  std::filesystem::path temporary = path;
  temporary += '.' + process_tag();
  temporary += kEnding;
  return temporary;
}

std::optional<TemporaryName> read_temporary_name(std::string_view name) {
  if (!name.ends_with(kEnding)) return std::nullopt;
  name.remove_suffix(kEnding.size());
  const std::size_t dot = name.rfind('.');
  if (dot == std::string_view::npos || dot == 0 || !is_tag(name.substr(dot + 1))) {
    return std::nullopt;
  }
  return TemporaryName{.final_name = std::string(name.substr(0, dot)),
                       .is_own = name.substr(dot + 1) == process_tag()};
}

void publish_file(const std::filesystem::path& path) {
  const std::filesystem::path temporary = temporary_path(path);
  sync_temporary(path);
  if (std::rename(temporary.c_str(), path.c_str()) != 0) {
    const int error = errno;
    require_temporary(path, error);
    fail(path, "cannot rename " + temporary.filename().string() + " to it", error);
  }
  sync_folder_of(path);
}

OutputFile::OutputFile(std::filesystem::path path) : path_(std::move(path)) {
  const std::filesystem::path temporary = temporary_path(path_);
  descriptor_ = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (descriptor_ < 0) fail(temporary, "cannot create it", errno);
  buffer_.reserve(kBufferBytes);
}

OutputFile::~OutputFile() {
  if (descriptor_ < 0) return;
  ::close(descriptor_);
  ::unlink(temporary_path(path_).c_str());
}

void OutputFile::write(std::string_view bytes) {
  if (descriptor_ < 0) throw std::logic_error(path_.string() + ": written after finish()");
  buffer_ += bytes;
  if (buffer_.size() >= kBufferBytes) flush();
}

void OutputFile::flush() {
  std::string_view left = buffer_;
  while (!left.empty()) {
    const ssize_t written = ::write(descriptor_, left.data(), left.size());
    if (written < 0) {
      if (errno == EINTR) continue;
      fail(temporary_path(path_), "cannot write", errno);
    }
    left.remove_prefix(static_cast<std::size_t>(written));
  }
  buffer_.clear();
}

void OutputFile::close() {
  if (descriptor_ < 0) throw std::logic_error(path_.string() + ": finished twice");
  flush();
  // A network file system may report a full disk only when the file is closed.
  if (::close(std::exchange(descriptor_, -1)) == 0) return;
  const int error = errno;
  ::unlink(temporary_path(path_).c_str());
  fail(temporary_path(path_), "cannot close", error);
}

void OutputFile::finish() {
  finish_if([] { return true; });
}

void OutputFile::finish_if(const std::function<bool()>& may_publish) {
  close();
  try {
    if (may_publish()) {
      publish_file(path_);
    } else {
      ::unlink(temporary_path(path_).c_str());
    }
  } catch (...) {
    ::unlink(temporary_path(path_).c_str());
    throw;
  }
}

bool OutputFile::finish_first() {
  close();
  const std::filesystem::path temporary = temporary_path(path_);
  bool is_first = false;
  try {
    sync_temporary(path_);
    is_first = ::link(temporary.c_str(), path_.c_str()) == 0;
    if (const int error = errno; !is_first && has_no_links(error)) {
      const int descriptor = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
      if (descriptor < 0 && errno != EEXIST) fail(path_, "cannot create it", errno);
      is_first = descriptor >= 0;
      if (is_first) ::close(descriptor);
      if (is_first) publish_file(path_);
    } else if (!is_first && error != EEXIST) {
      require_temporary(path_, error);
      fail(path_, "cannot create it", error);
    }
    // A network file system may say that it is there after a link that it made and forgot.
    struct stat status {};
    is_first = is_first || (::stat(temporary.c_str(), &status) == 0 && status.st_nlink > 1);
  } catch (...) {
    ::unlink(temporary.c_str());
    throw;
  }
  ::unlink(temporary.c_str());
  if (is_first) sync_folder_of(path_);
  return is_first;
}

void write_file(const std::filesystem::path& path, std::string_view bytes) {
  OutputFile file(path);
  file.write(bytes);
  file.finish();
}

}  // namespace cfp
