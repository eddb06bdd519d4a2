// Any bytes as one of the files that processes leave in a run's folder: the first byte chooses
// which, the rest is the file; the others stand beside it.
#include <cstddef>
#include <cstdint>
#include <filesystem>

#include "pipeline/run/presence.h"
#include "pipeline/run/status.h"
#include "stages/core/errors.h"
#include "tests/fuzz/memory_folder.h"

namespace {

namespace fs = std::filesystem;
using cfp::fuzz::as_text;
using cfp::fuzz::memory_folder;
using cfp::fuzz::write;

constexpr const char* kIdentity =
    R"({"name": "n", "rows": 20, "shards": 2, "config_hash": "a", "manifest_hash": "b",)"
    R"( "weights_hash": "c", "config": "name: n"})";
constexpr const char* kEnd =
    R"({"state": "complete", "exit_code": 0, "asked": 10, "done": 9, "failed": 1, "reason": "",)"
    R"( "random_weights": false, "wall_s": 1.5})";

/// A folder in memory of a run in two shards.
const fs::path& folder() {
  static const fs::path made = [] {
    fs::create_directories(memory_folder() / "shards/00000-of-00002");
    fs::create_directories(memory_folder() / "shards/00001-of-00002");
    return memory_folder();
  }();
  return made;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const fs::path shard = folder() / "shards/00000-of-00002";
  write(folder() / "identity.json", kIdentity);
  write(shard / "run.json", kEnd);
  fs::remove(shard / cfp::kPresenceName);
  const fs::path files[] = {folder() / "identity.json", shard / "run.json",
                            shard / cfp::kPresenceName, shard / "log.jsonl"};
  const fs::path& chosen = files[data[0] % std::size(files)];
  if (chosen.filename() == "log.jsonl") fs::remove(shard / "run.json");
  write(chosen, as_text(data + 1, size - 1));
  try {
    cfp::describe(cfp::read_status(folder()));
    if (const auto record = cfp::read_presence(shard)) cfp::has_ended(*record);
  } catch (const cfp::SystemError&) {
    // The one way in which a file may be refused.
  }
  return 0;
}
