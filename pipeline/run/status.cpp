#include "pipeline/run/status.h"

#include <algorithm>
#include <fstream>
#include <map>

#include <fmt/format.h>

#include "datasets/manifest.h"
#include "pipeline/run/json_record.h"
#include "pipeline/run/part_files.h"
#include "pipeline/run/presence.h"
#include "pipeline/run/progress.h"
#include "pipeline/run/run_end.h"
#include "pipeline/run/shard_folder.h"
#include "stages/core/errors.h"

namespace cfp {
namespace fs = std::filesystem;
namespace {

/// Beats that a file may be old before its writer is taken for dead. More than a second process in
/// the folder would wait: a wrong answer here does no harm, and clocks may differ.
constexpr int kMissedBeats = 12;
constexpr std::size_t kLines = 60;

/// What the log says of an error that a run ended with.
struct LoggedError {
  std::string message;
  std::int64_t done = 0, failed = 0;  ///< rows that are in whole parts
};

/// @return the error that a log ends with; absent where it ends otherwise
std::optional<LoggedError> last_error(const fs::path& folder) {
  constexpr std::streamoff kTail = 64 * 1024;
  std::ifstream file(folder / "log.jsonl", std::ios::binary | std::ios::ate);
  if (!file) return std::nullopt;
  const std::streamoff size = file.tellg();
  file.seekg(std::max<std::streamoff>(0, size - kTail));
  std::string line, last;
  while (std::getline(file, line)) last = line;
  try {
    const JsonRecord record(last, "log.jsonl");
    if (record.text("event") != "error") return std::nullopt;
    return LoggedError{.message = record.text("message"),
                       .done = record.count("done"),
                       .failed = record.count("failed")};
  } catch (const SystemError&) {
    return std::nullopt;  // torn off, or not one of ours
  }
}

/// Whether the writer of running.json shows life, by the age of the file.
bool is_fresh(const fs::path& folder, const PresenceRecord& record) {
  std::error_code error;
  const auto written = fs::last_write_time(folder / kPresenceName, error);
  const std::chrono::milliseconds every(record.beat_ms);
  return !error && fs::file_time_type::clock::now() - written < kMissedBeats * every;
}

ShardStatus status_of(const fs::path& folder, const std::optional<Shard>& shard,
                      std::int64_t rows) {
  ShardStatus status{.shard = shard, .rows = rows};
  const std::optional<PresenceRecord> running = read_presence(folder);
  if (running && is_fresh(folder, *running)) {
    status.state = ShardState::kRunning;
    status.done = running->advance.done;
    status.failed = running->advance.failed;
    status.where = fmt::format("{}, process {}", running->host, running->process);
    const auto since = status.done + status.failed - running->advance.before;
    if (running->elapsed_s > 0) {
      status.rows_a_second = static_cast<double>(since) / running->elapsed_s;
    }
    return status;
  }
  if (const std::optional<RunEnd> end = read_run_end(folder)) {
    status.done = end->done;
    status.failed = end->failed;
    status.reason = end->reason;
    status.state = end->done + end->failed == rows ? ShardState::kDone : ShardState::kStopped;
    return status;
  }
  if (running) {
    status.state = ShardState::kLost;
    status.done = running->advance.done;
    status.failed = running->advance.failed;
    status.reason = fmt::format("last seen {} on {}", running->seen, running->host);
  } else if (const std::optional<LoggedError> error = last_error(folder)) {
    status.state = ShardState::kStopped;
    status.done = error->done;
    status.failed = error->failed;
    status.reason = error->message;
  } else if (is_there(folder / "log.jsonl")) {
    status.state = ShardState::kLost;
  } else if (rows == 0) {
    status.state = ShardState::kDone;  // more shards than rows: it need not even begin
  }
  return status;
}

/// @throws ConfigError the folder holds shards of two divisions
std::int64_t common_count(const fs::path& work_dir, const std::vector<Shard>& shards) {
  const std::int64_t count = shards.back().count;
  if (shards.front().count == count) return count;
  throw ConfigError(
      fmt::format("'{}' holds shards of a division into {} and of one into {}; remove the folders "
                  "of one of them",
                  (work_dir / kShardsName).string(), shards.front().count, count));
}

std::string clock_time(double seconds) {
  constexpr double kLongest = 1e12;  // what a damaged record gives would fit no integer
  seconds = std::clamp(seconds, 0.0, kLongest);
  const auto whole = static_cast<std::int64_t>(seconds + 0.5);
  return fmt::format("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60);
}

std::string line_of(const ShardStatus& s) {
  std::string line = fmt::format("{:<18} {:<10} {:>8} of {:<8}",
                                 s.shard ? folder_of_shard(*s.shard) : "in one piece",
                                 to_string(s.state), s.done + s.failed, s.rows);
  if (s.failed > 0) line += fmt::format(" {} failed", s.failed);
  if (s.rows_a_second > 0) line += fmt::format(" {:.2f} clips/s", s.rows_a_second);
  if (!s.where.empty()) line += "  " + s.where;
  if (!s.reason.empty()) line += "  " + s.reason;
  return line + '\n';
}

}  // namespace

std::string_view to_string(ShardState state) {
  switch (state) {
    case ShardState::kNotBegun:
      return "not begun";
    case ShardState::kRunning:
      return "running";
    case ShardState::kDone:
      return "done";
    case ShardState::kStopped:
      return "stopped";
    case ShardState::kLost:
      return "lost";
  }
  throw std::logic_error("ShardState out of range");
}

RunStatus read_status(const fs::path& work_dir) {
  if (!is_there(work_dir)) {
    throw ConfigError(fmt::format("no such folder: '{}'", work_dir.string()));
  }
  if (std::error_code error; !fs::is_directory(work_dir, error)) {
    throw ConfigError(
        fmt::format("'{}' is no folder; name the work_dir of a run", work_dir.string()));
  }
  const std::vector<Shard> shards = shards_in(work_dir);
  if (shards.empty()) {
    if (!is_there(work_dir / "manifest.csv")) {
      throw ConfigError(fmt::format("'{}' is no work_dir of a run, or of one that has just begun",
                                    work_dir.string()));
    }
    const auto rows =
        static_cast<std::int64_t>(read_manifest(work_dir / "manifest.csv").rows.size());
    return {.name = work_dir.filename().string(), .shards = {status_of(work_dir, {}, rows)}};
  }
  const std::int64_t count = common_count(work_dir, shards);
  const std::optional<SharedRun> shared = read_shared_run(work_dir);
  if (!shared) {
    throw ConfigError(
        fmt::format("'{}' has no {}: its shards have just begun, or it is no work_dir",
                    work_dir.string(), kIdentityName));
  }
  RunStatus status{.name = shared->name};
  for (std::int64_t i = 0; i < count; ++i) {
    const Shard shard{i, count};
    status.shards.push_back(
        status_of(shard_path(work_dir, shard), shard, rows_of_shard(shard, shared->rows).size()));
  }
  return status;
}

std::string describe(const RunStatus& status) {
  std::int64_t rows = 0, done = 0, failed = 0;
  double rate = 0;
  std::map<ShardState, std::int64_t> states;
  std::string lines;
  std::size_t shown = 0, open = 0;
  for (const ShardStatus& shard : status.shards) {
    rows += shard.rows;
    done += shard.done;
    failed += shard.failed;
    rate += shard.rows_a_second;
    ++states[shard.state];
    if (shard.state == ShardState::kDone && status.shards.size() > 1) continue;
    if (++open <= kLines) ++shown, lines += line_of(shard);
  }
  if (open > shown) lines += fmt::format("… and {} more\n", open - shown);
  std::string text =
      fmt::format("{}: {} of {} clips, {} failed", status.name, done + failed, rows, failed);
  if (rate > 0) {
    text += fmt::format(", {:.2f} clips/s, {} left at this rate", rate,
                        clock_time(static_cast<double>(rows - done - failed) / rate));
  }
  text += '\n';
  if (status.shards.size() > 1) {
    text += fmt::format("{} shards:", status.shards.size());
    for (const auto& [state, number] : states)
      text += fmt::format(" {} {},", number, to_string(state));
    text.back() = '\n';
  }
  return text + lines;
}

}  // namespace cfp
