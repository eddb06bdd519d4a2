#include "stages/network/checkpoint/zip_archive.h"

#include <algorithm>
#include <numeric>
#include <optional>

#include <fmt/format.h>

namespace cfp {
namespace {

// PKWARE's APPNOTE.TXT 6.3, sections 4.3.7 (local header), 4.3.12 (central directory), 4.3.14 to
// 4.3.16 (end records), 4.5.3 (zip64 extra field).
constexpr std::uint32_t kLocalSignature = 0x04034B50;
constexpr std::uint32_t kCentralSignature = 0x02014B50;
constexpr std::uint32_t kEndSignature = 0x06054B50;
constexpr std::uint32_t kEnd64Signature = 0x06064B50;
constexpr std::uint32_t kLocator64Signature = 0x07064B50;
constexpr std::size_t kEndSize = 22;
constexpr std::size_t kLocator64Size = 20;
constexpr std::size_t kEnd64Size = 56;
constexpr std::size_t kLocalSize = 30;
constexpr std::size_t kCentralSize = 46;
constexpr std::size_t kLongestComment = 0xFFFF;
constexpr std::uint32_t kIn64 = 0xFFFFFFFF;  // "see the zip64 field"
constexpr std::uint16_t kZip64Field = 1;
constexpr std::uint16_t kEncryptedFlag = 1;

struct Directory {
  std::uint64_t offset = 0, size = 0, entries = 0;
};

/// What the central directory says of an entry, and where its local header is.
struct CentralEntry {
  ZipEntry entry;
  std::uint64_t packed_size = 0;
  std::uint64_t local_offset = 0;
  std::uint64_t end = 0;  ///< first byte behind its data, known once the local header is read
};

std::uint32_t peek_u32(ByteView bytes, std::size_t offset) {
  return std::uint32_t{bytes[offset]} | std::uint32_t{bytes[offset + 1]} << 8 |
         std::uint32_t{bytes[offset + 2]} << 16 | std::uint32_t{bytes[offset + 3]} << 24;
}

/// Searches backwards over the comment that may follow the end record.
std::size_t find_end_record(ByteView bytes, const std::string& file) {
  const std::size_t lowest =
      bytes.size() > kEndSize + kLongestComment ? bytes.size() - kEndSize - kLongestComment : 0;
  for (std::size_t at = bytes.size() < kEndSize ? 0 : bytes.size() - kEndSize + 1; at > lowest;) {
    --at;
    if (peek_u32(bytes, at) == kEndSignature) return at;
  }
  refuse_file(file,
              "begins as a zip archive but has no end record; the file is truncated, download "
              "it again");
}

Directory read_end64(ByteView bytes, std::size_t locator_at, const std::string& file) {
  ByteReader locator(bytes.subspan(locator_at + 4, kLocator64Size - 4), file);
  locator.u32("zip64 locator");  // the volume
  const std::uint64_t end_at = locator.u64("zip64 locator");
  ByteReader end(checked_view(bytes, end_at, kEnd64Size, file, "the zip64 end record"), file);
  if (end.u32("zip64 end record") != kEnd64Signature) {
    refuse_file(file, "its zip64 end record is not where it should be; the file is damaged");
  }
  end.take(8 + 2 + 2, "zip64 end record");  // its size, versions
  const std::uint32_t volume = end.u32("zip64 end record");
  const std::uint32_t directory_volume = end.u32("zip64 end record");
  if (volume != 0 || directory_volume != 0) refuse_file(file, "a zip archive in several volumes");
  end.u64("zip64 end record");  // entries on this volume
  Directory directory;
  directory.entries = end.u64("zip64 end record");
  directory.size = end.u64("zip64 end record");
  directory.offset = end.u64("zip64 end record");
  return directory;
}

Directory read_end(ByteView bytes, const std::string& file) {
  const std::size_t at = find_end_record(bytes, file);
  if (at >= kLocator64Size && peek_u32(bytes, at - kLocator64Size) == kLocator64Signature) {
    return read_end64(bytes, at - kLocator64Size, file);
  }
  ByteReader end(bytes.subspan(at + 4, kEndSize - 4), file);
  const std::uint16_t volume = end.u16("end record");
  const std::uint16_t directory_volume = end.u16("end record");
  if (volume != 0 || directory_volume != 0) refuse_file(file, "a zip archive in several volumes");
  end.u16("end record");  // entries on this volume
  Directory directory;
  directory.entries = end.u16("end record");
  directory.size = end.u32("end record");
  directory.offset = end.u32("end record");
  return directory;
}

/// Takes from the zip64 field what did not fit into 32 bits.
void read_zip64_field(ByteView extra, const std::string& file, CentralEntry& central) {
  ByteReader reader(extra, file);
  const bool wants_size = central.entry.size == kIn64;
  const bool wants_packed = central.packed_size == kIn64;
  const bool wants_offset = central.local_offset == kIn64;
  // A field may be padded by less than another field's header.
  while (reader.remaining() >= 4) {
    const std::uint16_t id = reader.u16("extra field");
    ByteReader field(reader.take(reader.u16("extra field"), "extra field"), file);
    if (id != kZip64Field) continue;
    if (wants_size) central.entry.size = field.u64("zip64 size");
    if (wants_packed) central.packed_size = field.u64("zip64 packed size");
    if (wants_offset) central.local_offset = field.u64("zip64 offset");
    return;
  }
}

CentralEntry read_central_entry(ByteReader& reader) {
  constexpr std::string_view kWhat = "an entry of the zip directory";
  const std::string& file = reader.file();
  if (reader.u32(kWhat) != kCentralSignature) {
    refuse_file(file, "its zip directory is damaged");
  }
  reader.take(4, kWhat);  // versions
  const std::uint16_t flags = reader.u16(kWhat);
  CentralEntry central;
  central.entry.method = reader.u16(kWhat);
  reader.u32(kWhat);  // time and date
  central.entry.crc = reader.u32(kWhat);
  central.packed_size = reader.u32(kWhat);
  central.entry.size = reader.u32(kWhat);
  const std::uint16_t name_length = reader.u16(kWhat);
  const std::uint16_t extra_length = reader.u16(kWhat);
  const std::uint16_t comment_length = reader.u16(kWhat);
  const std::uint16_t volume = reader.u16(kWhat);
  reader.take(6, kWhat);  // attributes
  central.local_offset = reader.u32(kWhat);
  central.entry.name = as_text(reader.take(name_length, kWhat));
  read_zip64_field(reader.take(extra_length, kWhat), file, central);
  reader.take(comment_length, kWhat);
  if (volume != 0) refuse_file(file, "a zip archive in several volumes");
  if ((flags & kEncryptedFlag) != 0) {
    refuse_file(file, fmt::format("zip entry '{}' is encrypted", printable(central.entry.name)));
  }
  if (central.entry.stored() && central.packed_size != central.entry.size) {
    refuse_file(
        file, fmt::format("zip entry '{}' is stored but has two sizes, {} and {}",
                          printable(central.entry.name), central.packed_size, central.entry.size));
  }
  return central;
}

/// Finds the data behind the local header, whose extra field may differ from the directory's.
///
/// The sizes in a local header are not looked at: a writer that streams leaves them to a record
/// behind the data, and the directory has them anyway.
void locate_data(ByteView bytes, const std::string& file, CentralEntry& central) {
  const std::string what = fmt::format("zip entry '{}'", printable(central.entry.name));
  ByteReader local(checked_view(bytes, central.local_offset, kLocalSize, file, what), file);
  if (local.u32(what) != kLocalSignature) {
    refuse_file(file, fmt::format("{} is not where the directory says; the file is damaged", what));
  }
  local.take(22, what);  // versions, flags, method, time, checksum, sizes
  const std::uint16_t name_length = local.u16(what);
  const std::uint16_t extra_length = local.u16(what);
  const std::uint64_t name_at = central.local_offset + kLocalSize;
  if (as_text(checked_view(bytes, name_at, name_length, file, what)) != central.entry.name) {
    refuse_file(file,
                fmt::format("{} has another name in its own header; the file is damaged", what));
  }
  const std::uint64_t data_at = name_at + name_length + extra_length;
  const ByteView data = checked_view(bytes, data_at, central.packed_size, file, what);
  if (central.entry.stored()) central.entry.data = data;
  central.end = data_at + central.packed_size;
}

/// Entries that share bytes are how a small archive pretends to hold petabytes.
void refuse_overlaps(std::vector<CentralEntry> entries, std::uint64_t directory_at,
                     const std::string& file) {
  std::ranges::sort(entries, {}, &CentralEntry::local_offset);
  for (std::size_t i = 0; i < entries.size(); ++i) {
    const std::uint64_t limit = i + 1 < entries.size() ? entries[i + 1].local_offset : directory_at;
    if (entries[i].end > limit) {
      refuse_file(file, fmt::format("zip entry '{}' overlaps what follows it",
                                    printable(entries[i].entry.name)));
    }
  }
}

}  // namespace

ZipArchive::ZipArchive(ByteView bytes, const std::string& file) : file_(file) {
  const Directory directory = read_end(bytes, file);
  const ByteView raw =
      checked_view(bytes, directory.offset, directory.size, file, "the zip directory");
  if (directory.entries > raw.size() / kCentralSize) {
    refuse_file(file, fmt::format("its zip directory of {} bytes claims {} entries", raw.size(),
                                  directory.entries));
  }
  ByteReader reader(raw, file);
  std::vector<CentralEntry> central;
  for (std::uint64_t i = 0; i < directory.entries; ++i) {
    central.push_back(read_central_entry(reader));
    locate_data(bytes, file, central.back());
    entries_.push_back(central.back().entry);
  }
  refuse_overlaps(std::move(central), directory.offset, file);

  by_name_.resize(entries_.size());
  std::iota(by_name_.begin(), by_name_.end(), std::size_t{0});
  std::ranges::sort(by_name_, {}, [&](std::size_t i) { return entries_[i].name; });
  const auto twice =
      std::ranges::adjacent_find(by_name_, {}, [&](std::size_t i) { return entries_[i].name; });
  if (twice != by_name_.end()) {
    refuse_file(file, fmt::format("its zip directory has the entry '{}' twice",
                                  printable(entries_[*twice].name)));
  }
}

const ZipEntry* ZipArchive::find(std::string_view name) const {
  const auto found =
      std::ranges::lower_bound(by_name_, name, {}, [&](std::size_t i) { return entries_[i].name; });
  if (found == by_name_.end() || entries_[*found].name != name) return nullptr;
  return &entries_[*found];
}

ByteView ZipArchive::data(std::string_view name) const {
  const ZipEntry* entry = find(name);
  if (entry == nullptr) {
    refuse_file(file_, fmt::format("has no zip entry '{}'", printable(name)));
  }
  if (!entry->stored()) {
    refuse_file(file_, fmt::format("zip entry '{}' is compressed (method {}); torch.save stores "
                                   "entries uncompressed, so the file was packed again: unpack and "
                                   "zip it with `zip -0`, or save it again",
                                   printable(name), entry->method));
  }
  // torch.serialization.set_crc32_options(False) leaves a zero.
  if (entry->crc != 0 && entry->crc != crc32(entry->data)) {
    refuse_file(file_,
                fmt::format("zip entry '{}' does not match its checksum; the file is damaged,"
                            " download it again",
                            printable(name)));
  }
  return entry->data;
}

}  // namespace cfp
