// What the shards of a run share: a folder on a network file system, and what they all are part of.
//
// Note [Files that shards share]
// The first shard that comes puts `identity.json` into the work_dir: it writes the file in its own
// folder and links it to its place, which the file system does for one process alone. Every shard
// reads it back and stops where it is part of something else. `manifest.csv` and `config.yaml`
// follow the same way. Nobody waits for anybody, and nothing is locked.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "pipeline/run/identity.h"
#include "pipeline/run/work_dir.h"

namespace cfp {

inline constexpr const char* kIdentityName = "identity.json";

/// @param is_shard  whether the run that is about to begin is one of shards
/// @throws ConfigError a run in one piece and one in shards would share the folder
void require_one_kind(const std::filesystem::path& work_dir, bool is_shard);

/// What all shards are part of.
struct SharedRun {
  std::string name;
  std::int64_t rows = 0;  ///< of the manifest
  KnownRun run;
};

/// @return what identity.json in a work_dir says; absent where there is none
/// @throws SystemError it is damaged
std::optional<SharedRun> read_shared_run(const std::filesystem::path& work_dir);

/// Makes sure that this shard is part of the same run as those that came before it.
/// @param own  the shard's folder
/// @throws ConfigError the others have another config, manifest or other weights; names each
///         difference
/// @throws SystemError the folder cannot be written
void agree_with_shards(const std::filesystem::path& work_dir, const WorkDir& own,
                       const Prepared& prepared);

}  // namespace cfp
