// Any bytes as a video: its header, its packets and its frames, as `cfp check` and a run read them.
#include <cstddef>
#include <cstdint>
#include <string>

#include "stages/core/errors.h"
#include "stages/decode/clip_decoder.h"
#include "stages/decode/probe.h"
#include "tests/fuzz/memory_folder.h"

namespace {

template <typename Work>
void passes_over_bad_data(const Work& work) {
  try {
    work();
  } catch (const cfp::DataError&) {
    // The one way in which a video may be refused.
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  // No extension: FFmpeg looks at what is in it.
  const std::string file = cfp::fuzz::memory_folder() / "video";
  cfp::fuzz::write(file, cfp::fuzz::as_text(data, size));
  const cfp::DecodeLimits limits{.time_limit_s = 5, .max_pixels = 512 * 512};
  const cfp::MediaSegment whole{.path = file};
  const cfp::MediaSegment middle{.path = file, .start_s = 0.1, .end_s = 0.3};
  static const cfp::ClipDecoder decode({.clip_len = 4}, {.resize = 16, .crop = 16}, limits);
  passes_over_bad_data([&] { cfp::probe_header(whole, limits); });
  passes_over_bad_data([&] { cfp::decode_everything(whole, limits); });
  passes_over_bad_data([&] { decode({.clip_id = "middle", .media = middle}); });
  return 0;
}
