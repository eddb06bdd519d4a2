#include "results/store/heap_check.h"

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <vector>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include "stages/core/c_handle.h"
#include "stages/core/errors.h"

namespace cfp::hdf5 {
namespace {

using Descriptor = CHandle<int, -1, ::close>;

// The format: "GCOL", version 1, three reserved bytes, the collection's size; then objects, each of
// index (2 bytes), references (2), reserved (4), size (8) and its bytes, padded to a multiple of 8.
// The object of index 0 is the free space at the end; its size counts its own header.
constexpr std::string_view kSignature("GCOL\1", 5);
constexpr std::size_t kHeaderBytes = 16;
constexpr std::uint64_t kMinCollectionBytes = 4096;
constexpr std::uint64_t kMaxCollectionBytes = std::uint64_t{1} << 28;
constexpr std::size_t kBlockBytes = std::size_t{1} << 20;

std::uint64_t little_endian(const char* bytes, std::size_t count) {
  std::uint64_t value = 0;
  for (std::size_t i = count; i-- > 0;) {
    value = (value << 8) | static_cast<unsigned char>(bytes[i]);
  }
  return value;
}

/// Reads `size` bytes, fewer where the file ends.
std::size_t read_at(const Descriptor& file, std::uint64_t offset, char* out, std::size_t size,
                    const std::string& path) {
  std::size_t done = 0;
  while (done < size) {
    const ssize_t got =
        ::pread(file.get(), out + done, size - done, static_cast<off_t>(offset + done));
    if (got == 0) break;
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw SystemError(fmt::format("{}: cannot read: {}", path, std::strerror(errno)));
    done += static_cast<std::size_t>(got);
  }
  return done;
}

bool objects_fit(const std::vector<char>& collection) {
  std::size_t position = kHeaderBytes;
  while (position + kHeaderBytes <= collection.size()) {
    const char* object = collection.data() + position;
    const std::uint64_t index = little_endian(object, 2);
    const std::uint64_t size = little_endian(object + 8, 8);
    const std::uint64_t left = collection.size() - position;
    if (size > left) return false;
    const std::uint64_t taken = index == 0 ? size : kHeaderBytes + (size + 7) / 8 * 8;
    if (taken < kHeaderBytes || taken > left) return false;
    position += taken;
  }
  return true;
}

/// Checks what starts at `offset` with the signature, if its size says that it is a collection and
/// not packed numbers that happen to look alike.
void check_collection(const Descriptor& file, std::uint64_t offset, std::uint64_t file_bytes,
                      const std::string& path) {
  char header[kHeaderBytes];
  if (read_at(file, offset, header, sizeof header, path) < sizeof header) return;
  const std::uint64_t size = little_endian(header + 8, 8);
  if (size > file_bytes - offset) return;  // HDF5 notices that itself
  bool sound = size >= kMinCollectionBytes && size <= kMaxCollectionBytes;
  if (sound) {
    std::vector<char> collection(size);
    sound = read_at(file, offset, collection.data(), size, path) == size && objects_fit(collection);
  }
  if (!sound) {
    throw SystemError(fmt::format("{}: its texts are damaged at byte {}", path, offset));
  }
}

}  // namespace

void check_heaps(const std::string& path) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat status {};
  if (!file || ::fstat(file.get(), &status) != 0) {
    throw SystemError(fmt::format("{}: cannot open it: {}", path, std::strerror(errno)));
  }
  const auto file_bytes = static_cast<std::uint64_t>(status.st_size);
  std::vector<char> block(kBlockBytes);
  // Blocks overlap, so that no signature is cut in two.
  for (std::uint64_t start = 0; start < file_bytes;
       start += kBlockBytes - (kSignature.size() - 1)) {
    const std::string_view bytes(block.data(),
                                 read_at(file, start, block.data(), block.size(), path));
    if (bytes.empty()) return;
    const char* from = bytes.data();
    const char* const end = bytes.data() + bytes.size();
    while (const void* found = ::memmem(from, static_cast<std::size_t>(end - from),
                                        kSignature.data(), kSignature.size())) {
      from = static_cast<const char*>(found);
      check_collection(file, start + static_cast<std::uint64_t>(from - bytes.data()), file_bytes,
                       path);
      ++from;
    }
  }
}

}  // namespace cfp::hdf5
