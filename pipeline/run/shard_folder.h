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

#include "pipeline/cluster/shard.h"
#include "pipeline/run/identity.h"
#include "pipeline/run/work_dir.h"

namespace cfp {

inline constexpr const char* kIdentityName = "identity.json";

/// @param shard  that is about to begin; absent: a run in one piece
/// @throws ConfigError a run in one piece and one in shards would share the folder, or shards of
///         two divisions
/// @throws SystemError the folder cannot be read
void require_one_kind(const std::filesystem::path& work_dir, const std::optional<Shard>& shard);

/// What all shards are part of.
struct SharedRun {
  std::string name;
  std::int64_t rows = 0;    ///< of the manifest
  std::int64_t shards = 0;  ///< into how many it is divided
  KnownRun run;
};

/// @return what identity.json in a work_dir says; absent where there is none
/// @throws SystemError it is damaged
std::optional<SharedRun> read_shared_run(const std::filesystem::path& work_dir);

/// Makes sure that this shard is part of the same run as those that came before it.
/// @param own  the shard's folder
/// @throws ConfigError the others have another config, manifest or other weights, which names each
///         difference; or they are of another division, or a run in one piece is there
/// @throws SystemError the folder cannot be written
void agree_with_shards(const std::filesystem::path& work_dir, const WorkDir& own,
                       const Prepared& prepared);

}  // namespace cfp
