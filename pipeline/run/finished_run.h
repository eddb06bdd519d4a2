// A finished run, opened again: its parts, be they of one process or of shards, its manifest, and
// the frames that its clips were made of.
//
//   const FinishedRun run("work_dirs/demo");
//   for (const StoredClip& stored : run.find({"rotate/0003.mp4"})) use(run.read(stored));
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "datasets/manifest.h"
#include "pipeline/config/options.h"
#include "results/store/part_reader.h"
#include "stages/decode/clip_decoder.h"

namespace cfp {

/// Where one explained clip, a view of a row, lies.
struct StoredClip {
  std::size_t part = 0;    ///< in the manifest's order
  std::int64_t index = 0;  ///< in the part
  std::int64_t row = 0;    ///< of the manifest

  bool operator==(const StoredClip&) const = default;
};

/// Reads what a run left in its folder. For one thread at a time.
class FinishedRun {
 public:
  /// @throws ConfigError no such folder, no part in it, or a manifest that cannot be read
  /// @throws SystemError a part is damaged, or is not of this manifest or of this version's config
  explicit FinishedRun(std::filesystem::path folder);

  const std::filesystem::path& folder() const { return folder_; }
  const Manifest& manifest() const { return manifest_; }
  const PartHeader& header() const { return header_; }
  /// The run's config, its preprocessing completed as the run completed it.
  const ResolvedConfig& config() const { return *config_; }
  bool has_edges() const { return has_edges_; }

  /// @return every explained clip, in the order of parts and rows
  const std::vector<StoredClip>& clips() const { return clips_; }
  /// @return the explained clips of these ids, all views of each, in the order asked for
  /// @throws ConfigError no row of that id (with the nearest), or one that the run did not explain
  std::vector<StoredClip> find(const std::vector<std::string>& clip_ids) const;

  /// @throws SystemError the part is damaged, or the clip is not the manifest's
  ClipResult read(const StoredClip& stored) const;

  /// Decodes a row's clips again, as the run did: all views.
  /// @throws DataError the media are gone or cannot be decoded
  std::vector<Clip> decode(std::int64_t row) const;

  /// The clip of a decoded row that a result is of.
  /// @throws DataError it has other frames than the run saw: the media file was changed
  static const Clip& matching(const std::vector<Clip>& clips, const ClipResult& result);

 private:
  const PartReader& open(std::size_t part) const;
  void list_clips(std::size_t part);
  [[noreturn]] void fail_unexplained(const ClipRequest& row) const;

  std::filesystem::path folder_;
  Manifest manifest_;
  PartHeader header_;
  bool has_edges_ = false;
  std::vector<std::filesystem::path> files_;  ///< the parts
  /// A part has a thousand datasets open, so one at a time is: the one that was read last.
  mutable std::optional<PartReader> part_;
  mutable std::size_t open_part_ = 0;
  std::optional<ResolvedConfig> config_;
  std::vector<StoredClip> clips_;
  std::optional<ClipDecoder> decoder_;
};

}  // namespace cfp
