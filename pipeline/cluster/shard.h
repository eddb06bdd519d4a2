// Which rows of the manifest one of many processes takes.
//
//   const ShardChoice choice = choose_shard("", variable_of_environment);
//   if (choice.shard) rows = rows_of_shard(*choice.shard, rows);
//
// Note [Rows of a shard]
// Shard i of n takes rows i*R/n .. (i+1)*R/n - 1 of the R rows of the manifest, rounded down: the
// lengths of shards differ by one row at most, every row is in exactly one shard whatever n is, and
// neighbouring rows, which often are segments of one video, stay together. Nobody has to talk to
// anybody to know this.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace cfp {

/// Shard `index` of `count`; 0 <= index < count <= kMaxShards.
struct Shard {
  std::int64_t index = 0;
  std::int64_t count = 1;

  bool operator==(const Shard&) const = default;
};

inline constexpr std::int64_t kMaxShards = 100'000;

/// Rows begin..end-1.
struct RowRange {
  std::int64_t begin = 0, end = 0;

  std::int64_t size() const { return end - begin; }
  bool operator==(const RowRange&) const = default;
};

/// @param rows  of the manifest
/// @return      those of the shard; none where there are more shards than rows
RowRange rows_of_shard(const Shard& shard, std::int64_t rows);

/// @return the shard that takes a row
Shard shard_of_row(std::int64_t row, std::int64_t count, std::int64_t rows);

/// @param text  `3/16`: index from 0, count
/// @throws ConfigError it is no such pair
Shard parse_shard(std::string_view text);

/// @return `00003-of-00016`, the name of a shard's folder
std::string folder_of_shard(const Shard& shard);
/// @return the shard that folder_of_shard() names so; absent for any other name
std::optional<Shard> shard_of_folder(std::string_view name);

/// @return the value of an environment variable; absent where it is not set or empty
using Environment = std::function<std::optional<std::string>(const char* name)>;
std::optional<std::string> variable_of_environment(const char* name);

/// A shard, and who said so.
struct ShardChoice {
  std::optional<Shard> shard;  ///< absent: all rows
  std::string source;          ///< `--shard`, or the variables that it was read from
};

/// Finds this process's shard: from the command line, else from the variables that a batch system
/// sets for the members of an array or the tasks of a step.
///
/// Array and tasks of Slurm combine: each task of each member takes a shard of its own. A single
/// task outside an array is no shard.
///
/// @param option  of `--shard`: `i/n`, `none` (all rows, whatever the environment says), or empty
/// @throws ConfigError `option` is neither; or the variables are incomplete or contradict each
/// other
ShardChoice choose_shard(const std::string& option, const Environment& environment);

}  // namespace cfp
