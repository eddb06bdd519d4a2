// Any text as a config, up to the options that a run gets: YAML, substitution, schema. A config
// that is taken must be the same when it is read back from the folder of its run.
#include <cstddef>
#include <cstdint>
#include <string>

#include "pipeline/config/loader.h"
#include "pipeline/config/options.h"
#include "stages/core/errors.h"

namespace {

cfp::ConfigValues read_back(const cfp::ConfigValues& values) {
  try {
    return cfp::load_stored_config(values.to_yaml(), "stored");
  } catch (const cfp::ConfigError&) {
    __builtin_trap();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    const std::string text(reinterpret_cast<const char*>(data), size);
    const cfp::ConfigValues values = cfp::load_config_text(text, "fuzz");
    if (read_back(values).results_hash() != values.results_hash()) __builtin_trap();
    cfp::resolve_config(values);
  } catch (const cfp::ConfigError&) {
    // The one way in which a config may be refused.
  }
  return 0;
}
