#include "pipeline/run/finished_run.h"

#include <algorithm>
#include <unordered_map>

#include <fmt/format.h>

#include "pipeline/config/scalars.h"
#include "stages/core/errors.h"

namespace cfp {
namespace fs = std::filesystem;
namespace {

/// The parts of a run's folder, sorted by name.
std::vector<fs::path> part_files(const fs::path& folder) {
  if (!fs::exists(folder)) {
    throw ConfigError(fmt::format("no such folder: '{}'", folder.string()));
  }
  if (!fs::is_directory(folder)) {
    throw ConfigError(
        fmt::format("'{}' is no folder; name the work_dir of a run", folder.string()));
  }
  std::vector<fs::path> files;
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    if (name.starts_with("part-") && name.ends_with(".h5")) files.push_back(entry->path());
  }
  if (error) {
    throw SystemError(fmt::format("cannot list '{}': {}", folder.string(), error.message()));
  }
  if (files.empty()) {
    throw ConfigError(
        fmt::format("'{}' holds no part-*.h5: it is no work_dir of a run, or the run has not come "
                    "to its end",
                    folder.string()));
  }
  std::ranges::sort(files);
  return files;
}

/// What the resolved config says is meant literally: nothing in it is to be substituted again.
std::string without_substitution(const std::string& yaml) {
  std::string text;
  for (std::size_t i = 0; i < yaml.size(); ++i) {
    if (yaml[i] == '$' && i + 1 < yaml.size() && yaml[i + 1] == '{') text += '$';
    text += yaml[i];
  }
  return text;
}

/// The config that a part was made with.
/// @param preprocess  is set to the steps that the clips went through
ResolvedConfig stored_config(const PartHeader& header, const std::string& file,
                             PreprocessOptions& preprocess) {
  try {
    ResolvedConfig config =
        resolve_config(load_config_text(without_substitution(header.config), file + ": config"));
    preprocess = resolve_preprocess(config.values, header.preset);
    return config;
  } catch (const ConfigError& error) {
    throw SystemError(fmt::format(
        "{}: its config is not one of this version (the part is of cfp {}): {}", file,
        header.versions.contains("cfp") ? header.versions.at("cfp") : "unknown", error.what()));
  }
}

}  // namespace

FinishedRun::FinishedRun(fs::path folder) : folder_(std::move(folder)) {
  const std::vector<fs::path> files = part_files(folder_);
  const fs::path manifest_file = folder_ / "manifest.csv";
  manifest_ = read_manifest(manifest_file);
  const std::string manifest_hash = fmt::format("{:016x}", manifest_.hash());
  for (const fs::path& file : files) {
    const PartReader& part = parts_.emplace_back(file);
    if (part.header().manifest_hash != manifest_hash) {
      throw SystemError(fmt::format("{}: made of another manifest than {} (hash {}, not {})",
                                    file.string(), manifest_file.string(),
                                    part.header().manifest_hash, manifest_hash));
    }
    if (part.header().config_hash != header().config_hash) {
      throw SystemError(fmt::format("{}: made with another config than {}", file.string(),
                                    files.front().string()));
    }
  }
  PreprocessOptions preprocess;
  const ResolvedConfig& config =
      config_.emplace(stored_config(header(), files.front().string(), preprocess));
  decoder_.emplace(config.sampling, preprocess,
                   DecodeLimits{.time_limit_s = config.runtime.clip_timeout_s});

  const auto rows = static_cast<std::int64_t>(manifest_.rows.size());
  for (std::size_t p = 0; p < parts_.size(); ++p) {
    if (parts_[p].clips() > rows * view_count(config.sampling)) {
      throw SystemError(fmt::format("{}: {} clips, the manifest has {} rows of {} views",
                                    files[p].string(), parts_[p].clips(), rows,
                                    view_count(config.sampling)));
    }
    std::int64_t index = 0;
    for (const std::int64_t row : parts_[p].rows()) {
      if (row < 0 || row >= rows) {
        throw SystemError(fmt::format("{}: clip {} is of row {}, the manifest has {}",
                                      files[p].string(), index, row, rows));
      }
      clips_.push_back({p, index++, row});
    }
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
  for (const PartReader& part : parts_) {
    for (std::int64_t i = 0; i < part.failures(); ++i) {
      const Failure failure = part.read_failure(i);
      if (failure.row != row.row) continue;
      throw ConfigError(fmt::format("the run could not explain '{}': {}: {}", row.clip_id,
                                    to_string(failure.reason), failure.message));
    }
  }
  throw ConfigError(fmt::format("the run was stopped before it came to '{}'", row.clip_id));
}

ClipResult FinishedRun::read(const StoredClip& stored) const {
  ClipResult result = parts_.at(stored.part).read(stored.index);
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
