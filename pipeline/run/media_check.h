// Which clips of a data set can be read: the files of all rows, looked at in parallel.
//
//   const MediaCheck check = check_media(manifest, ProbeDepth::kHeader, options);
//   write_bad_clips("bad_clips.csv", manifest, check);
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "datasets/manifest.h"
#include "pipeline/config/options.h"

namespace cfp {

/// How much of each file is read.
enum class ProbeDepth {
  kNone,    ///< nothing: only what is known without opening it
  kHeader,  ///< the header
  kFull,    ///< every frame of the clip is decoded
};

/// @param word  none, header or full
/// @throws ConfigError another word
ProbeDepth probe_depth(std::string_view word);

struct MediaCheckOptions {
  int workers = 1;                ///< files that are looked at at once
  double clip_timeout_s = 60;     ///< for each of them
  std::int64_t least_frames = 1;  ///< that a clip needs; fewer are `too_short`
  bool show_progress = true;      ///< on stderr
};

/// What a config asks of the clips.
MediaCheckOptions check_options(const ResolvedConfig& config);

/// What was found out about one row.
struct RowCheck {
  std::optional<MediaFacts> facts;     ///< absent where the media cannot be read, or were not
  std::optional<ClipProblem> problem;  ///< absent: none
};

struct MediaCheck {
  std::vector<RowCheck> rows;  ///< in the manifest's order

  /// How many rows have each problem.
  std::map<FailureReason, std::int64_t> problems() const;
  std::int64_t bad() const;
};

/// Looks at the media of all rows. Rows with a problem that the manifest knows already keep it;
/// segments of one video share one look at its header, those with an end and those without.
MediaCheck check_media(const Manifest& manifest, ProbeDepth depth,
                       const MediaCheckOptions& options);

/// Lines for people: how many are readable, how many are not, by reason.
std::string describe(const MediaCheck& check);

/// Writes `row,clip_id,path,reason,message`, a line a bad row.
/// @throws SystemError it cannot be written
void write_bad_clips(const std::filesystem::path& path, const Manifest& manifest,
                     const MediaCheck& check);

}  // namespace cfp
