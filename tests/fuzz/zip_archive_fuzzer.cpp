// Any bytes as a zip archive; every byte of every entry is read.
#include <cstddef>
#include <cstdint>

#include "stages/core/errors.h"
#include "stages/network/checkpoint/zip_archive.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    const cfp::ZipArchive archive({data, size}, "fuzz");
    for (const cfp::ZipEntry& entry : archive.entries()) {
      try {
        archive.data(entry.name);
      } catch (const cfp::SystemError&) {
        // Compressed or damaged; the others may be fine.
      }
    }
  } catch (const cfp::SystemError&) {
    // The one way in which a file may be refused.
  }
  return 0;
}
