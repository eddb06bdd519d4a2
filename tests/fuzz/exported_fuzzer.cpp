// Any bytes as an archive of torch.export: the zip, the JSON, the tensors, and the import of its
// calls.
#include <cstddef>
#include <cstdint>

#include "stages/core/errors.h"
#include "stages/network/exported/load_exported.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    cfp::import_program(cfp::parse_exported_program({data, size}, nullptr, "fuzz"));
  } catch (const cfp::SystemError&) {
    // Refused as a file.
  } catch (const cfp::ConfigError&) {
    // Fits no clip.
  }
  return 0;
}
