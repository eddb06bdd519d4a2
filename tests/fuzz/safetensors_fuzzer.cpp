// Any bytes as a safetensors file, with the metadata that describe a network.
#include <cstddef>
#include <cstdint>

#include "stages/core/errors.h"
#include "stages/network/checkpoint/inspect.h"
#include "stages/network/checkpoint/network_metadata.h"
#include "stages/network/checkpoint/safetensors.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    const cfp::Checkpoint checkpoint = cfp::parse_safetensors({data, size}, nullptr, "fuzz");
    cfp::describe_checkpoint(checkpoint);
    for (const cfp::StoredTensor& tensor : checkpoint.tensors) {
      try {
        cfp::float_data(tensor, "fuzz");
      } catch (const cfp::SystemError&) {
        // Not finite.
      }
    }
    cfp::metadata_entries(cfp::parse_metadata(checkpoint.metadata, "fuzz"));
  } catch (const cfp::SystemError&) {
    // The one way in which a file may be refused.
  }
  return 0;
}
