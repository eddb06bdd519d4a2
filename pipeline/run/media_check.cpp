#include "pipeline/run/media_check.h"

#include <algorithm>
#include <unordered_map>

#include <fmt/format.h>
#include <oneapi/tbb/parallel_for.h>
#include <oneapi/tbb/task_arena.h>
#include <sys/stat.h>

#include "datasets/csv.h"
#include "pipeline/run/environment.h"
#include "pipeline/run/progress.h"
#include "stages/core/output_file.h"
#include "stages/decode/probe.h"

namespace cfp {
namespace {

/// How far a segment may begin behind the end that a header claims: claims are rounded.
constexpr double kHeaderSlack_s = 1;

/// Rows that one look answers for.
struct Look {
  std::vector<std::size_t> rows;
};

/// Segments of one video have one header; everything else is looked at row by row. A segment that
/// has an end may be whole in a video that is cut off, one that goes on to the end of the video is
/// not: a look is for the ones or for the others.
std::vector<Look> looks_of(const Manifest& manifest, ProbeDepth depth) {
  std::vector<Look> looks;
  std::unordered_map<std::string_view, std::size_t> look_to_an_end, look_to_the_videos_end;
  for (std::size_t i = 0; i < manifest.rows.size(); ++i) {
    const ManifestRow& row = manifest.rows[i];
    if (row.problem) continue;
    if (depth == ProbeDepth::kHeader && !row.media.pictures && !row.media.in_pieces) {
      auto& look_of_path = row.media.end_s ? look_to_an_end : look_to_the_videos_end;
      const auto [entry, is_new] = look_of_path.emplace(row.media.path, looks.size());
      if (!is_new) {
        looks[entry->second].rows.push_back(i);
        continue;
      }
    }
    looks.push_back({.rows = {i}});
  }
  return looks;
}

MediaFacts file_facts(const std::string& path) {
  struct stat status {};
  if (stat(path.c_str(), &status) != 0) return {};
  // The size of a folder's own entry says nothing about the pictures in it.
  return {.bytes = S_ISREG(status.st_mode) ? std::int64_t{status.st_size} : 0,
          .modified_s = std::int64_t{status.st_mtim.tv_sec}};
}

class Checker {
 public:
  Checker(const Manifest& manifest, ProbeDepth depth, const MediaCheckOptions& options)
      : manifest_(manifest), depth_(depth), options_(options) {
    check_.rows.resize(manifest.rows.size());
  }

  MediaCheck run() {
    std::optional<Progress> progress;
    if (options_.show_progress) {
      progress.emplace(stderr, static_cast<std::int64_t>(manifest_.rows.size()));
    }
    const auto count = [&](std::size_t row) {
      if (!progress) return;
      check_.rows[row].problem ? progress->add_failed() : progress->add_done();
    };
    for (std::size_t i = 0; i < manifest_.rows.size(); ++i) {
      check_.rows[i].problem = manifest_.rows[i].problem;
      if (check_.rows[i].problem) count(i);
    }
    if (depth_ == ProbeDepth::kNone) return std::move(check_);
    const std::vector<Look> looks = looks_of(manifest_, depth_);
    oneapi::tbb::task_arena arena(options_.workers);
    arena.execute([&] {
      oneapi::tbb::parallel_for(std::size_t{0}, looks.size(), [&](std::size_t i) {
        look(looks[i]);
        for (const std::size_t row : looks[i].rows) count(row);
      });
    });
    return std::move(check_);
  }

 private:
  void look(const Look& look) {
    const MediaSegment& media = manifest_.rows[look.rows.front()].media;
    const DecodeLimits limits{.time_limit_s = options_.clip_timeout_s};
    try {
      depth_ == ProbeDepth::kHeader ? take_header(look, probe_header(media, limits))
                                    : take_frames(look, decode_everything(media, limits));
    } catch (const DataError& error) {
      for (const std::size_t row : look.rows) {
        check_.rows[row].problem = {error.reason(), error.what()};
      }
    }
  }

  void take_header(const Look& look, const HeaderFacts& header) {
    MediaFacts facts = file_facts(manifest_.rows[look.rows.front()].media.path);
    facts.width = header.width;
    facts.height = header.height;
    facts.duration_s = header.duration_from_header_s.value_or(0);
    facts.fps = header.frame_rate_from_header.value_or(0);
    for (const std::size_t i : look.rows) {
      const MediaSegment& media = manifest_.rows[i].media;
      check_.rows[i].facts = facts;
      if (header.duration_from_header_s &&
          media.start_s.value_or(0) > *header.duration_from_header_s + kHeaderSlack_s) {
        check_.rows[i].problem = {
            FailureReason::kEmpty,
            fmt::format("{}: the clip begins at {} s, but by its header the video ends at {:.2f} s",
                        media.path, *media.start_s, *header.duration_from_header_s)};
      } else if (!media.start_s && !media.end_s && header.frame_count_from_header) {
        require_frames(i, *header.frame_count_from_header, " by its header");
      }
    }
  }

  void take_frames(const Look& look, const DecodedFacts& decoded) {
    for (const std::size_t i : look.rows) {
      MediaFacts facts = file_facts(manifest_.rows[i].media.path);
      facts.width = decoded.width;
      facts.height = decoded.height;
      facts.duration_s = decoded.end_time_s - decoded.first_time_s;
      facts.fps = decoded.average_fps;
      check_.rows[i].facts = facts;
      require_frames(i, decoded.frame_count, "");
    }
  }

  void require_frames(std::size_t row, std::int64_t frames, const char* how) {
    if (frames >= options_.least_frames) return;
    check_.rows[row].problem = {
        FailureReason::kTooShort,
        fmt::format("{}: has {} frames{}, the clips that sampling asks for need {}",
                    manifest_.rows[row].media.path, frames, how, options_.least_frames)};
  }

  const Manifest& manifest_;
  ProbeDepth depth_;
  const MediaCheckOptions& options_;
  MediaCheck check_;  // each row is written by one thread
};

}  // namespace

ProbeDepth probe_depth(std::string_view word) {
  if (word == "none") return ProbeDepth::kNone;
  if (word == "header") return ProbeDepth::kHeader;
  if (word == "full") return ProbeDepth::kFull;
  throw ConfigError(fmt::format("probe is '{}'; none, header and full are allowed", word));
}

MediaCheckOptions check_options(const ResolvedConfig& config) {
  MediaCheckOptions options{.workers = config.runtime.decode_workers > 0
                                           ? config.runtime.decode_workers
                                           : describe_machine().processors,
                            .clip_timeout_s = config.runtime.clip_timeout_s};
  const SamplingOptions& sampling = config.sampling;
  if (sampling.out_of_bound == OutOfBound::kError && !sampling.target_fps) {
    options.least_frames = std::int64_t{sampling.clip_len - 1} * sampling.frame_interval + 1;
  }
  return options;
}

std::map<FailureReason, std::int64_t> MediaCheck::problems() const {
  std::map<FailureReason, std::int64_t> count;
  for (const RowCheck& row : rows) {
    if (row.problem) ++count[row.problem->reason];
  }
  return count;
}

std::int64_t MediaCheck::bad() const {
  return std::ranges::count_if(rows, [](const RowCheck& row) { return row.problem.has_value(); });
}

MediaCheck check_media(const Manifest& manifest, ProbeDepth depth,
                       const MediaCheckOptions& options) {
  return Checker(manifest, depth, options).run();
}

std::string describe(const MediaCheck& check) {
  const auto rows = static_cast<std::int64_t>(check.rows.size());
  std::string text =
      fmt::format("files       {} of {} clips have no problem\n", rows - check.bad(), rows);
  for (const auto& [reason, count] : check.problems()) {
    text += fmt::format("  {:<15} {}\n", to_string(reason), count);
  }
  return text;
}

void write_bad_clips(const std::filesystem::path& path, const Manifest& manifest,
                     const MediaCheck& check) {
  std::string text = "row,clip_id,path,reason,message\n";
  for (std::size_t i = 0; i < check.rows.size(); ++i) {
    if (!check.rows[i].problem) continue;
    const ManifestRow& row = manifest.rows[i];
    text += fmt::format("{},{},{},{},{}\n", row.row, csv_field(row.clip_id),
                        csv_field(row.media.path), to_string(check.rows[i].problem->reason),
                        csv_field(check.rows[i].problem->message));
  }
  write_file(path, text);
}

}  // namespace cfp
