// How far a run is, from its files alone: `cfp status`. Opens no part and takes no lock.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "pipeline/cluster/shard.h"

namespace cfp {

enum class ShardState {
  kNotBegun,  ///< nothing is there
  kRunning,   ///< a process shows that it lives
  kDone,      ///< all rows
  kStopped,   ///< ended before its last row, and said so
  kLost       ///< ended without a word: killed, or the machine failed
};

std::string_view to_string(ShardState state);

/// One shard, or a run in one piece.
struct ShardStatus {
  std::optional<Shard> shard;
  ShardState state = ShardState::kNotBegun;
  std::int64_t rows = 0;  ///< in all
  std::int64_t done = 0;  ///< explained; of a lost one as far as is known
  std::int64_t failed = 0;
  double rows_a_second = 0;  ///< of the process that runs, since it began
  std::string where;         ///< machine and process that runs; empty otherwise
  std::string reason;        ///< why it stopped, where it said so
};

struct RunStatus {
  std::string name;
  std::vector<ShardStatus> shards;  ///< one for a run in one piece
};

/// @throws ConfigError no such folder, or nothing of a run in it
/// @throws SystemError it cannot be read
RunStatus read_status(const std::filesystem::path& work_dir);

/// @return lines for people: sums, the rate, the time left, and each shard that is not done
std::string describe(const RunStatus& status);

}  // namespace cfp
