// A file in memory without reading it: only the pages that somebody looks at are loaded.
//
//   const auto file = std::make_shared<const MappedFile>("resnet-50-kinetics.pth");
//   const ByteView head = file->view(0, 8, "header length");
#pragma once

#include <string>

#include "stages/network/checkpoint/bytes.h"

namespace cfp {

/// A file mapped for reading as long as the object lives.
///
/// Weights keep pointing into the mapping, so a checkpoint must not be changed in place while a run
/// uses it; replacing it by renaming another file over it is safe.
class MappedFile {
 public:
  /// @throws SystemError no such file, not a file, no permission, or the kernel refuses
  explicit MappedFile(const std::string& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  const std::string& name() const { return path_; }
  ByteView bytes() const { return bytes_; }
  /// @throws SystemError the range leaves the file
  ByteView view(std::uint64_t offset, std::uint64_t size, std::string_view what) const {
    return checked_view(bytes_, offset, size, path_, what);
  }

 private:
  std::string path_;
  ByteView bytes_;
};

}  // namespace cfp
