#include "stages/network/checkpoint/mapped_file.h"

#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "stages/core/c_handle.h"

namespace cfp {

MappedFile::MappedFile(const std::string& path) : path_(path) {
  const CHandle<int, -1, ::close> file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file) refuse_file(path, fmt::format("cannot be opened: {}", std::strerror(errno)));
  struct stat info {};
  if (::fstat(file.get(), &info) != 0) {
    refuse_file(path, fmt::format("cannot be examined: {}", std::strerror(errno)));
  }
  if (!S_ISREG(info.st_mode)) {
    refuse_file(path, S_ISDIR(info.st_mode) ? "is a folder, not a checkpoint file"
                                            : "is not a regular file");
  }
  const auto size = static_cast<std::size_t>(info.st_size);
  if (size == 0) return;  // mmap refuses empty files; an empty view is what they are
  void* address = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.get(), 0);
  if (address == MAP_FAILED) {
    refuse_file(path, fmt::format("cannot be mapped: {}", std::strerror(errno)));
  }
  bytes_ = {static_cast<const std::uint8_t*>(address), size};
}

MappedFile::~MappedFile() {
  if (!bytes_.empty()) ::munmap(const_cast<std::uint8_t*>(bytes_.data()), bytes_.size());
}

}  // namespace cfp
