#include "pipeline/run/shard_folder.h"

#include <cerrno>
#include <cstring>
#include <fstream>

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

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
  if (!linked && reason != EEXIST && !fs::exists(shared)) {
    if (std::rename(own.c_str(), shared.c_str()) == 0) return;
    throw SystemError(fmt::format("cannot make '{}': {}", shared.string(), std::strerror(errno)));
  }
  std::error_code error;
  fs::remove(own, error);
}

std::string identity_text(const Prepared& prepared) {
  const RunIdentity identity = identity_of(prepared);
  const nlohmann::ordered_json json{
      {"name", prepared.config.name},     {"rows", prepared.manifest->rows.size()},
      {"config_hash", identity.config},   {"manifest_hash", identity.manifest},
      {"weights_hash", identity.weights}, {"config", prepared.config.values.to_yaml()}};
  return json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + '\n';
}

}  // namespace

void require_one_kind(const fs::path& work_dir, bool is_shard) {
  if (!is_shard && !shards_in(work_dir).empty()) {
    throw ConfigError(fmt::format(
        "output.work_dir: '{}' holds shards; `cfp merge` puts them together, --shard i/n does one "
        "of them; name another folder for a run in one piece, or remove this one",
        work_dir.string()));
  }
  if (is_shard && !parts_in(work_dir).empty()) {
    throw ConfigError(fmt::format(
        "output.work_dir: '{}' holds a run in one piece; name another folder for shards, or remove "
        "this one",
        work_dir.string()));
  }
}

std::optional<SharedRun> read_shared_run(const fs::path& work_dir) {
  const fs::path path = work_dir / kIdentityName;
  std::ifstream file(path);
  if (!file) return std::nullopt;
  try {
    const auto json = nlohmann::json::parse(file);
    return SharedRun{
        .name = json.at("name"),
        .rows = json.at("rows"),
        .run = {{json.at("config_hash"), json.at("manifest_hash"), json.at("weights_hash")},
                json.at("config")}};
  } catch (const nlohmann::json::exception& error) {
    throw SystemError(fmt::format("'{}' is damaged: {}", path.string(), error.what()));
  }
}

void agree_with_shards(const fs::path& work_dir, const WorkDir& own, const Prepared& prepared) {
  if (!fs::exists(work_dir / kIdentityName)) {
    write_file(own / kIdentityName, identity_text(prepared));
    share(own / kIdentityName, work_dir / kIdentityName);
  }
  const std::optional<SharedRun> shared = read_shared_run(work_dir);
  if (!shared) {
    throw SystemError(fmt::format("cannot read '{}'", (work_dir / kIdentityName).string()));
  }
  const std::string difference =
      describe_difference(shared->run, (work_dir / kIdentityName).string(), prepared);
  if (!difference.empty()) {
    throw ConfigError(fmt::format(
        "'{}' holds shards of another run; they differ in{}\nName another output.work_dir, or "
        "remove it once no shard is running",
        work_dir.string(), difference));
  }
  if (!fs::exists(work_dir / "config.yaml")) {
    write_file(own / "config.yaml", prepared.config.values.to_yaml());
    share(own / "config.yaml", work_dir / "config.yaml");
  }
  if (!fs::exists(work_dir / "manifest.csv")) {
    write_manifest(own / "manifest.csv", *prepared.manifest);
    share(own / "manifest.csv", work_dir / "manifest.csv");
  }
}

}  // namespace cfp
