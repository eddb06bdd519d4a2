#include "pipeline/run/shard_folder.h"

#include <cerrno>
#include <cstring>

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include "pipeline/run/json_record.h"
#include "pipeline/run/part_files.h"
#include "stages/core/errors.h"
#include "stages/core/output_file.h"

namespace cfp {
namespace fs = std::filesystem;
namespace {

/// Gives a file of one's own a place among the shared ones, where nobody has done so before.
void share(const fs::path& own, const fs::path& shared) {
  const bool linked = ::link(own.c_str(), shared.c_str()) == 0;
  const int reason = errno;
  // Some file systems have no links. A rename may replace the file of another shard that comes at
  // the same moment; both read back what is there then, and `cfp merge` compares once more.
  if (!linked && reason != EEXIST && !is_there(shared)) {
    if (std::rename(own.c_str(), shared.c_str()) == 0) return;
    throw SystemError(fmt::format("cannot make '{}': {}", shared.string(), std::strerror(errno)));
  }
  std::error_code error;
  fs::remove(own, error);
}

std::string identity_text(const Prepared& prepared, std::int64_t shards) {
  const RunIdentity identity = identity_of(prepared);
  const nlohmann::ordered_json json{{"name", prepared.config.name},
                                    {"rows", prepared.manifest->rows.size()},
                                    {"shards", shards},
                                    {"config_hash", identity.config},
                                    {"manifest_hash", identity.manifest},
                                    {"weights_hash", identity.weights},
                                    {"config", prepared.config.values.to_yaml()}};
  return json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + '\n';
}

/// Whether a run in one piece is there, be it in its first part. A merge of shards works in the
/// folder, too, but behind the identity that shards leave.
bool holds_one_piece(const fs::path& work_dir) {
  if (!parts_in(work_dir).empty()) return true;
  return !is_there(work_dir / kIdentityName) &&
         (is_there(work_dir / "manifest.csv") || is_there(work_dir / kPresenceName));
}

/// @throws ConfigError the folder holds shards of another division
void require_count(const fs::path& work_dir, std::int64_t count) {
  std::int64_t there = count;
  if (const std::optional<SharedRun> shared = read_shared_run(work_dir)) {
    there = shared->shards;
  } else if (const std::vector<Shard> shards = shards_in(work_dir); !shards.empty()) {
    there = shards.back().count != count ? shards.back().count : shards.front().count;
  }
  if (there == count) return;
  throw ConfigError(fmt::format(
      "output.work_dir: '{}' holds shards of a division into {}, not into {}; divide into as many, "
      "name another folder, or remove this one once no shard is running",
      work_dir.string(), there, count));
}

}  // namespace

void require_one_kind(const fs::path& work_dir, const std::optional<Shard>& shard) {
  if (!shard && !shards_in(work_dir).empty()) {
    throw ConfigError(fmt::format(
        "output.work_dir: '{}' holds shards; `cfp merge` puts them together, --shard i/n does one "
        "of them; name another folder for a run in one piece, or remove this one",
        work_dir.string()));
  }
  if (shard && holds_one_piece(work_dir)) {
    throw ConfigError(fmt::format(
        "output.work_dir: '{}' holds a run in one piece; name another folder for shards, or remove "
        "this one",
        work_dir.string()));
  }
  if (shard) require_count(work_dir, shard->count);
}

std::optional<SharedRun> read_shared_run(const fs::path& work_dir) {
  const fs::path path = work_dir / kIdentityName;
  if (!is_there(path)) return std::nullopt;
  const JsonRecord record = JsonRecord::of_file(path);
  return SharedRun{.name = record.text("name"),
                   .rows = record.count("rows"),
                   .shards = record.count("shards"),
                   .run = {{record.text("config_hash"), record.text("manifest_hash"),
                            record.text("weights_hash")},
                           record.text("config")}};
}

void agree_with_shards(const fs::path& work_dir, const WorkDir& own, const Prepared& prepared) {
  const Shard shard = shard_of_folder(own.path().filename().string()).value();
  // Once more, now that this shard's own folder shows others what is here.
  require_one_kind(work_dir, shard);
  if (!is_there(work_dir / kIdentityName)) {
    write_file(own / kIdentityName, identity_text(prepared, shard.count));
    share(own / kIdentityName, work_dir / kIdentityName);
  }
  const std::optional<SharedRun> shared = read_shared_run(work_dir);
  if (!shared) {
    throw SystemError(fmt::format("cannot read '{}'", (work_dir / kIdentityName).string()));
  }
  require_count(work_dir, shard.count);
  const std::string difference =
      describe_difference(shared->run, (work_dir / kIdentityName).string(), prepared);
  if (!difference.empty()) {
    throw ConfigError(fmt::format(
        "'{}' holds shards of another run; they differ in{}\nName another output.work_dir, or "
        "remove it once no shard is running; --resume=force does not help here, because all shards "
        "must be of one run",
        work_dir.string(), difference));
  }
  if (!is_there(work_dir / "config.yaml")) {
    write_file(own / "config.yaml", prepared.config.values.to_yaml());
    share(own / "config.yaml", work_dir / "config.yaml");
  }
  if (!is_there(work_dir / "manifest.csv")) {
    write_manifest(own / "manifest.csv", *prepared.manifest);
    share(own / "manifest.csv", work_dir / "manifest.csv");
  }
}

}  // namespace cfp
