#include "stages/core/output_file.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <stdexcept>
#include <utility>

#include <fcntl.h>
#include <unistd.h>

#include "stages/core/errors.h"

namespace cfp {
namespace {

constexpr std::size_t kBufferBytes = 64 * 1024;

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

}  // namespace

std::filesystem::path temporary_path(const std::filesystem::path& path) {
  std::filesystem::path temporary = path;
  temporary += ".tmp";
  return temporary;
}

void publish_file(const std::filesystem::path& path) {
  const std::filesystem::path temporary = temporary_path(path);
  sync_path(temporary, O_RDONLY);
  if (std::rename(temporary.c_str(), path.c_str()) != 0) {
    fail(path, "cannot rename " + temporary.filename().string() + " to it", errno);
  }
  const std::filesystem::path folder = path.parent_path();
  sync_path(folder.empty() ? "." : folder, O_RDONLY | O_DIRECTORY);
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

void OutputFile::finish() {
  if (descriptor_ < 0) throw std::logic_error(path_.string() + ": finished twice");
  flush();
  // A network file system may report a full disk only when the file is closed.
  if (::close(std::exchange(descriptor_, -1)) != 0) {
    const int error = errno;
    ::unlink(temporary_path(path_).c_str());
    fail(temporary_path(path_), "cannot close", error);
  }
  try {
    publish_file(path_);
  } catch (...) {
    ::unlink(temporary_path(path_).c_str());
    throw;
  }
}

void write_file(const std::filesystem::path& path, std::string_view bytes) {
  OutputFile file(path);
  file.write(bytes);
  file.finish();
}

}  // namespace cfp
