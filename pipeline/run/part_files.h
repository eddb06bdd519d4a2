// The files of a run: what its parts are called, and where they are.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "pipeline/cluster/shard.h"

namespace cfp {

/// The folder of a sharded run that holds a folder for each shard.
inline constexpr const char* kShardsName = "shards";

/// @return whether something has that name
/// @throws SystemError nobody can tell, as where a folder above may not be looked into
bool is_there(const std::filesystem::path& path);

/// @return `part-00007.h5`
std::string part_name(std::int64_t number);
/// @return the number of a part of that name; absent for any other name
std::optional<std::int64_t> part_number(const std::string& name);

/// @return the parts in a folder, by their numbers; none where there is no such folder
/// @throws SystemError the folder cannot be listed
std::vector<std::filesystem::path> parts_in(const std::filesystem::path& folder);

/// @return the shards that have a folder below a work_dir, by count and index
/// @throws SystemError the folder cannot be listed
std::vector<Shard> shards_in(const std::filesystem::path& work_dir);

/// @return the folder of a shard
std::filesystem::path shard_path(const std::filesystem::path& work_dir, const Shard& shard);

/// @return the parts of a run, be it in one piece or in shards, in the manifest's order
/// @throws SystemError a folder cannot be listed
std::vector<std::filesystem::path> parts_of_run(const std::filesystem::path& work_dir);

}  // namespace cfp
