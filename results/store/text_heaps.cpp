#include "results/store/text_heaps.h"

#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include "stages/core/errors.h"

namespace cfp::hdf5 {
namespace {

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

/// Calls `use(index, bytes)` for each object of a collection.
/// @return whether all of them lie within it
template <class Use>
bool for_each_object(const std::vector<char>& collection, Use&& use) {
  std::size_t position = kHeaderBytes;
  while (position + kHeaderBytes <= collection.size()) {
    const char* object = collection.data() + position;
    const std::uint64_t index = little_endian(object, 2);
    const std::uint64_t size = little_endian(object + 8, 8);
    const std::uint64_t left = collection.size() - position;
    if (size > left) return false;
    const std::uint64_t taken = index == 0 ? size : kHeaderBytes + (size + 7) / 8 * 8;
    if (taken < kHeaderBytes || taken > left) return false;
    if (index != 0) use(index, size);
    position += taken;
  }
  return true;
}

}  // namespace

TextReference TextReference::from_stored(const char* bytes) {
  return {static_cast<std::uint32_t>(little_endian(bytes, 4)), little_endian(bytes + 4, 8),
          static_cast<std::uint32_t>(little_endian(bytes + 12, 4))};
}

TextHeaps::TextHeaps(std::string path)
    : path_(std::move(path)), file_(::open(path_.c_str(), O_RDONLY | O_CLOEXEC)) {
  struct stat status {};
  if (!file_ || ::fstat(file_.get(), &status) != 0) {
    throw SystemError(fmt::format("{}: cannot open it: {}", path_, std::strerror(errno)));
  }
  file_bytes_ = static_cast<std::uint64_t>(status.st_size);
  std::vector<char> block(kBlockBytes);
  // Blocks overlap, so that no signature is cut in two.
  for (std::uint64_t start = 0; start < file_bytes_;
       start += kBlockBytes - (kSignature.size() - 1)) {
    const std::string_view bytes(block.data(), read_at(start, block.data(), block.size()));
    if (bytes.empty()) return;
    const char* from = bytes.data();
    const char* const end = bytes.data() + bytes.size();
    while (const void* found = ::memmem(from, static_cast<std::size_t>(end - from),
                                        kSignature.data(), kSignature.size())) {
      from = static_cast<const char*>(found);
      check_collection(start + static_cast<std::uint64_t>(from - bytes.data()));
      ++from;
    }
  }
}

void TextHeaps::check(const TextReference& text, std::string_view item) const {
  if (text.address == 0) return;  // HDF5 looks no further
  int found = 0;
  bool fits = true;
  for_each_object(read_collection(text.address), [&](std::uint64_t index, std::uint64_t bytes) {
    if (index != text.index) return;
    ++found;
    fits = fits && bytes == text.length;
  });
  if (found != 1 || !fits) {
    throw SystemError(fmt::format("{}: its texts are damaged: none of {} bytes is at byte {}", item,
                                  text.length, text.address));
  }
}

/// Reads `size` bytes, fewer where the file ends.
std::size_t TextHeaps::read_at(std::uint64_t offset, char* out, std::size_t size) const {
  std::size_t done = 0;
  while (done < size) {
    const ssize_t got =
        ::pread(file_.get(), out + done, size - done, static_cast<off_t>(offset + done));
    if (got == 0) break;
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw SystemError(fmt::format("{}: cannot read: {}", path_, std::strerror(errno)));
    done += static_cast<std::size_t>(got);
  }
  return done;
}

/// @return the size that a collection at `offset` has by its header; 0: there is none
std::uint64_t TextHeaps::collection_bytes(std::uint64_t offset) const {
  char header[kHeaderBytes];
  if (offset > file_bytes_ || read_at(offset, header, sizeof header) < sizeof header) return 0;
  if (std::string_view(header, kSignature.size()) != kSignature) return 0;
  const std::uint64_t size = little_endian(header + 8, 8);
  // Packed numbers may look alike; of a collection that the file's end cuts off HDF5 knows itself.
  return size <= file_bytes_ - offset ? size : 0;
}

/// @return the whole collection at `offset`; nothing where there is none, or one of another size
/// than HDF5 makes
std::vector<char> TextHeaps::read_collection(std::uint64_t offset) const {
  const std::uint64_t size = collection_bytes(offset);
  if (size < kMinCollectionBytes || size > kMaxCollectionBytes) return {};
  std::vector<char> collection(size);
  collection.resize(read_at(offset, collection.data(), size));
  return collection;
}

/// Checks what starts at `offset` with the signature, if it is a collection.
void TextHeaps::check_collection(std::uint64_t offset) const {
  if (collection_bytes(offset) == 0) return;
  const std::vector<char> collection = read_collection(offset);
  if (collection.empty() || !for_each_object(collection, [](auto...) {})) {
    throw SystemError(fmt::format("{}: its texts are damaged at byte {}", path_, offset));
  }
}

}  // namespace cfp::hdf5
