#include "pipeline/run/finished_run.h"

#include <algorithm>
#include <unordered_map>

#include <fmt/format.h>

#include "pipeline/config/scalars.h"
#include "pipeline/run/identity.h"
#include "pipeline/run/part_files.h"
#include "stages/core/errors.h"

namespace cfp {
namespace fs = std::filesystem;
namespace {

/// @throws ConfigError there are none
std::vector<fs::path> existing_parts(const fs::path& folder) {
  if (!fs::exists(folder)) {
    throw ConfigError(fmt::format("no such folder: '{}'", folder.string()));
  }
  if (!fs::is_directory(folder)) {
    throw ConfigError(
        fmt::format("'{}' is no folder; name the work_dir of a run", folder.string()));
  }
  std::vector<fs::path> files = parts_of_run(folder);
  if (files.empty()) {
    throw ConfigError(
        fmt::format("'{}' holds no part-*.h5: it is no work_dir of a run, or the run has not come "
                    "to its end",
                    folder.string()));
  }
  return files;
}

}  // namespace

FinishedRun::FinishedRun(fs::path folder)
    : folder_(std::move(folder)), files_(existing_parts(folder_)) {
  const fs::path manifest_file = folder_ / "manifest.csv";
  manifest_ = read_manifest(manifest_file);
  // The last one, because it knows of any others that its run went on from.
  header_ = open(files_.size() - 1).header();
  const std::string manifest_hash = fmt::format("{:016x}", manifest_.hash());
  if (header_.manifest_hash != manifest_hash) {
    throw SystemError(fmt::format("{}: made of another manifest than {} (hash {}, not {})",
                                  files_.back().string(), manifest_file.string(),
                                  header_.manifest_hash, manifest_hash));
  }
  PreprocessOptions preprocess;
  const ResolvedConfig& config =
      config_.emplace(config_of_part(header_, files_.back().string(), preprocess));
  decoder_.emplace(config.sampling, preprocess,
                   DecodeLimits{.time_limit_s = config.runtime.clip_timeout_s});
  for (std::size_t part = 0; part < files_.size(); ++part) list_clips(part);
}

const PartReader& FinishedRun::open(std::size_t part) const {
  if (!part_ || open_part_ != part) {
    part_.reset();
    part_.emplace(files_.at(part));
    open_part_ = part;
  }
  return *part_;
}

void FinishedRun::list_clips(std::size_t part) {
  const std::string file = files_[part].string();
  const PartReader& reader = open(part);
  has_edges_ = has_edges_ || reader.has_edges();
  const RunIdentity identity = identity_of(reader.header());
  if (!belongs_to(identity, header_)) {
    const char* what = identity.config != header_.config_hash       ? "config"
                       : identity.manifest != header_.manifest_hash ? "manifest"
                                                                    : "weights";
    throw SystemError(
        fmt::format("{}: made with another {} than {}", file, what, files_.back().string()));
  }
  const auto rows = static_cast<std::int64_t>(manifest_.rows.size());
  const int views = view_count(config_->sampling);
  if (reader.clips() > rows * views) {
    throw SystemError(fmt::format("{}: {} clips, the manifest has {} rows of {} views", file,
                                  reader.clips(), rows, views));
  }
  std::int64_t index = 0;
  for (const std::int64_t row : reader.rows()) {
    if (row < 0 || row >= rows) {
      throw SystemError(
          fmt::format("{}: clip {} is of row {}, the manifest has {}", file, index, row, rows));
    }
    clips_.push_back({part, index++, row});
  }
}

std::vector<StoredClip> FinishedRun::find(const std::vector<std::string>& clip_ids) const {
  std::unordered_map<std::string_view, const ClipRequest*> row_of_id;
  for (const ClipRequest& row : manifest_.rows) row_of_id[row.clip_id] = &row;
  std::vector<StoredClip> found;
  for (const std::string& id : clip_ids) {
    const auto row = row_of_id.find(id);
    if (row == row_of_id.end()) {
      std::vector<std::string> ids;
      for (const ClipRequest& known : manifest_.rows) ids.push_back(known.clip_id);
      throw ConfigError(fmt::format("no clip is called '{}'{}; {} lists the {} there are", id,
                                    did_you_mean(id, ids), (folder_ / "manifest.csv").string(),
                                    ids.size()));
    }
    const std::size_t before = found.size();
    for (const StoredClip& stored : clips_) {
      if (stored.row == row->second->row) found.push_back(stored);
    }
    if (found.size() == before) fail_unexplained(*row->second);
  }
  return found;
}

void FinishedRun::fail_unexplained(const ClipRequest& row) const {
  for (std::size_t part = 0; part < files_.size(); ++part) {
    const PartReader& reader = open(part);
    for (std::int64_t i = 0; i < reader.failures(); ++i) {
      const Failure failure = reader.read_failure(i);
      if (failure.row != row.row) continue;
      throw ConfigError(fmt::format("the run could not explain '{}': {}: {}", row.clip_id,
                                    to_string(failure.reason), failure.message));
    }
  }
  throw ConfigError(fmt::format("the run was stopped before it came to '{}'", row.clip_id));
}

ClipResult FinishedRun::read(const StoredClip& stored) const {
  ClipResult result = open(stored.part).read(stored.index);
  const ClipRequest& row = manifest_.rows.at(static_cast<std::size_t>(stored.row));
  if (result.clip_id != row.clip_id || result.path != row.media.path) {
    throw SystemError(fmt::format("{}: clip {} of part {} is '{}', row {} of the manifest '{}'",
                                  folder_.string(), stored.index, stored.part, result.clip_id,
                                  row.row, row.clip_id));
  }
  return result;
}

std::vector<Clip> FinishedRun::decode(std::int64_t row) const {
  const ClipRequest& request = manifest_.rows.at(static_cast<std::size_t>(row));
  try {
    return (*decoder_)(request);
  } catch (const DataError& error) {
    if (error.reason() != FailureReason::kMissing || fs::path(request.media.path).is_absolute()) {
      throw;
    }
    throw DataError(
        error.reason(),
        fmt::format("{} (the path is relative to the folder that the run was started in)",
                    error.what()));
  }
}

const Clip& FinishedRun::matching(const std::vector<Clip>& clips, const ClipResult& result) {
  const auto changed = [&](const std::string& why) {
    return DataError(FailureReason::kDecodeError,
                     fmt::format("{}: not the file that the run explained: {}", result.path, why));
  };
  const auto view = static_cast<std::size_t>(result.view);
  if (result.view < 0 || view >= clips.size()) {
    throw changed(fmt::format("it has {} views, the run saw view {}", clips.size(), result.view));
  }
  const Clip& clip = clips[view];
  if (clip.frame_times_s.size() != result.frame_times_s.size()) {
    throw changed(fmt::format("the clip has {} frames, the run saw {}", clip.frame_times_s.size(),
                              result.frame_times_s.size()));
  }
  for (std::size_t t = 0; t < clip.frame_times_s.size(); ++t) {
    // The same file decoded by the same arithmetic: any difference is one of the file.
    if (clip.frame_times_s[t] == result.frame_times_s[t]) continue;
    throw changed(fmt::format("frame {} is at {} s, the run saw it at {} s", t,
                              clip.frame_times_s[t], result.frame_times_s[t]));
  }
  return clip;
}

}  // namespace cfp
