// Any bytes as a pickle, and as the dictionary of weights that it may hold.
#include <cstddef>
#include <cstdint>
#include <vector>

#include "stages/core/errors.h"
#include "stages/network/checkpoint/inspect.h"
#include "stages/network/checkpoint/pickle.h"
#include "stages/network/checkpoint/state_dict.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const std::vector<std::uint8_t> storage(256, 1);
  try {
    const cfp::Pickle pickle = cfp::read_pickle({data, size}, "fuzz");
    const auto resolve = [](const cfp::PickleStorage&) { return cfp::ByteView(storage); };
    const cfp::Checkpoint checkpoint = cfp::collect_state_dict(pickle, resolve, nullptr, "fuzz");
    cfp::describe_checkpoint(checkpoint);
    for (const cfp::StoredTensor& tensor : checkpoint.tensors) {
      if (tensor.elements() <= 1024) cfp::float_data(tensor, "fuzz");
    }
  } catch (const cfp::SystemError&) {
    // The one way in which a file may be refused.
  }
  return 0;
}
