// A look at a file's texts before HDF5 does. Private to this room.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <unistd.h>

#include "stages/core/c_handle.h"

namespace cfp::hdf5 {

/// What a dataset of texts holds for each of them.
struct TextReference {
  /// As it is stored: length (4 bytes), address (8), index (4).
  static constexpr std::size_t kBytes = 16;

  std::uint32_t length = 0;   ///< bytes
  std::uint64_t address = 0;  ///< of a collection; 0: no text at all
  std::uint32_t index = 0;    ///< of an object in it

  static TextReference from_stored(const char* bytes);
};

/// The global heap collections of a file, in which its texts lie. Neither they nor the references
/// of datasets to them have checksums, as the rest of a part's structure has.
class TextHeaps {
 public:
  /// Checks every collection: HDF5 1.10 walks through it without end, or beyond it, where a length
  /// is damaged. Reads the file once.
  /// @throws SystemError a collection is damaged, or the file cannot be read
  explicit TextHeaps(std::string path);

  /// Checks that there is such a text: HDF5 1.10 takes as much memory as the reference says, and
  /// fills it with all that the heap has.
  /// @param item  whose text it is, for messages
  /// @throws SystemError there is no such object, or one of another length
  void check(const TextReference& text, std::string_view item) const;

 private:
  using Descriptor = CHandle<int, -1, ::close>;

  std::size_t read_at(std::uint64_t offset, char* out, std::size_t size) const;
  std::uint64_t collection_bytes(std::uint64_t offset) const;
  std::vector<char> read_collection(std::uint64_t offset) const;
  void check_collection(std::uint64_t offset) const;

  std::string path_;
  Descriptor file_;
  std::uint64_t file_bytes_ = 0;
};

}  // namespace cfp::hdf5
