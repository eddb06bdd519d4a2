// The entries of a zip archive whose data are stored as they are, so that they can be mapped.
//
// torch.save() stores every tensor uncompressed at an aligned offset. The libraries at hand
// (libzip, minizip) read entries through their own buffers and do not tell where in the file the
// data lie; mapping them needs exactly that, and the central directory is quickly read.
//
//   const ZipArchive archive(file.bytes(), file.name());
//   const ByteView pickle = archive.data("archive/data.pkl");
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "stages/network/checkpoint/bytes.h"

namespace cfp {

/// One file of an archive.
struct ZipEntry {
  std::string_view name;     ///< points into the archive
  ByteView data;             ///< empty unless `stored`
  std::uint64_t size = 0;    ///< bytes when unpacked
  std::uint32_t crc = 0;     ///< CRC-32 of the data; 0: the writer left it out
  std::uint16_t method = 0;  ///< 0: stored
  bool stored() const { return method == 0; }
};

/// A zip or zip64 archive in memory.
class ZipArchive {
 public:
  /// Reads the central directory and checks it against the local headers.
  ///
  /// @param file  named in messages
  /// @throws SystemError no end record (truncated), several volumes, encrypted, two entries of one
  ///         name, entries that overlap or leave the file, sizes that contradict each other
  ZipArchive(ByteView bytes, const std::string& file);

  /// In the order of the central directory.
  const std::vector<ZipEntry>& entries() const { return entries_; }
  /// @return the entry of that name, or null
  const ZipEntry* find(std::string_view name) const;
  /// @return the data of an entry, its checksum compared where the writer left one
  /// @throws SystemError there is no such entry, it is compressed, or damaged
  ByteView data(std::string_view name) const;

 private:
  std::string file_;
  std::vector<ZipEntry> entries_;
  std::vector<std::size_t> by_name_;  // positions in entries_, sorted by name
};

}  // namespace cfp
