// Any bytes as a part of results: everything in it is read as resuming, merging and reports do.
#include <cstddef>
#include <cstdint>
#include <filesystem>

#include "results/store/part_reader.h"
#include "stages/core/errors.h"
#include "tests/fuzz/memory_folder.h"

namespace {

void read_everything(const cfp::PartReader& part) {
  part.rows();
  part.failure_rows();
  for (std::int64_t i = 0; i < part.clips(); ++i) part.read(i);
  for (std::int64_t i = 0; i < part.failures(); ++i) part.read_failure(i);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::filesystem::path file = cfp::fuzz::memory_folder() / "part-00000.h5";
  cfp::fuzz::write(file, cfp::fuzz::as_text(data, size));
  try {
    read_everything(cfp::PartReader(file));
  } catch (const cfp::SystemError&) {
    // The one way in which a part may be refused.
  }
  return 0;
}
