// Any bytes as the graph of an archive of torch.export: the archive around them is whole, so that
// mutations meet the JSON and the import instead of checksums.
#include <cstddef>
#include <cstdint>
#include <string>

#include "stages/core/errors.h"
#include "stages/network/exported/load_exported.h"
#include "tests/support/exported_archive.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string archive =
      cfp::test::archive_around({reinterpret_cast<const char*>(data), size});
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(archive.data());
  try {
    cfp::import_program(cfp::parse_exported_program({bytes, archive.size()}, nullptr, "fuzz"));
  } catch (const cfp::SystemError&) {
    // Refused as a file.
  } catch (const cfp::ConfigError&) {
    // Fits no clip.
  }
  return 0;
}
