#include "pipeline/run/merge.h"

#include <algorithm>
#include <optional>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "pipeline/run/identity.h"
#include "pipeline/run/part_files.h"
#include "pipeline/run/part_rows.h"
#include "pipeline/run/render.h"
#include "pipeline/run/run_end.h"
#include "pipeline/run/run_tables.h"
#include "pipeline/run/status.h"
#include "pipeline/run/work_dir.h"
#include "stages/decode/clip_decoder.h"

namespace cfp {
namespace fs = std::filesystem;
namespace {

/// Shards that a message names at most.
constexpr std::size_t kNamed = 40;

/// @throws ConfigError a shard has rows left
void require_all_shards(const fs::path& work_dir) {
  const RunStatus status = read_status(work_dir);
  std::vector<std::string> open;
  for (const ShardStatus& shard : status.shards) {
    if (shard.done + shard.failed == shard.rows && shard.state != ShardState::kRunning &&
        shard.state != ShardState::kLost) {
      continue;
    }
    open.push_back(fmt::format("\n  {}: {}, {} of {} rows",
                               shard.shard ? folder_of_shard(*shard.shard) : work_dir.string(),
                               to_string(shard.state), shard.done + shard.failed, shard.rows));
  }
  if (open.empty()) return;
  const std::size_t shown = std::min(open.size(), kNamed);
  throw ConfigError(fmt::format("'{}': {} of {} shards are not at their end:{}{}",
                                work_dir.string(), open.size(), status.shards.size(),
                                fmt::join(open.begin(), open.begin() + shown, ""),
                                shown < open.size() ? "\n  …" : ""));
}

/// `00003-of-00016_part-00000`, or `part-00000` of a run in one piece.
std::string name_in_merged(const fs::path& work_dir, const fs::path& part) {
  const std::string stem = part.stem().string();
  const fs::path folder = part.parent_path();
  return folder == work_dir ? stem : folder.filename().string() + "_" + stem;
}

/// Everything that is gathered while the parts go by.
class Merge {
 public:
  Merge(const fs::path& work_dir, PartsAs parts_as)
      : work_dir_(work_dir),
        files_(parts_of_run(work_dir)),
        folder_(work_dir),
        log_(folder_ / "log.jsonl"),
        manifest_(read_manifest(work_dir / "manifest.csv")),
        header_(PartReader(files_.at(files_.size() - 1)).header()),
        config_(config_of_part(header_, files_.back().string(), preprocess_)),
        decoder_(config_.sampling, preprocess_,
                 DecodeLimits{.time_limit_s = config_.runtime.clip_timeout_s}),
        tables_(work_dir, run_info(), config_.output.summary_clips),
        merged_(std::in_place, work_dir / kMergedName, header_, parts_as) {}

  MergeSummary run() {
    const auto start = std::chrono::steady_clock::now();
    for (const fs::path& file : files_) {
      try {
        add(file);
      } catch (const SystemError& error) {
        throw SystemError(fmt::format("'{}': {}", file.string(), error.what()));
      }
    }
    require_row(rows());  // none is missing at the end
    folder_.remove_ends();
    merged_->finish();
    tables_.write();
    RunEnd end = judge();
    const std::chrono::duration<double> wall = std::chrono::steady_clock::now() - start;
    end.wall_s = wall.count();
    write_run_end(work_dir_, log_, end);
    render_first(work_dir_, config_.output.render, log_);
    return {.end = std::move(end),
            .parts = static_cast<std::int64_t>(files_.size()),
            .text = format_summary(tables_.statistics())};
  }

 private:
  std::int64_t rows() const { return static_cast<std::int64_t>(manifest_.rows.size()); }

  RunInfo run_info() const {
    return {.name = header_.name,
            .network = header_.network,
            .method = header_.method,
            .dataset = config_.dataset.type,
            .class_names = header_.class_names,
            .random_weights = header_.random_weights};
  }

  /// @throws SystemError `row` is not the one that comes next
  void require_row(std::int64_t row) {
    if (row == next_row_) return;
    throw SystemError(row < next_row_ ? fmt::format("row {} of the manifest is there twice", row)
                                      : fmt::format("rows {} to {} of the manifest are in no part",
                                                    next_row_, row - 1));
  }

  void add(const fs::path& file) {
    const PartReader part(file);
    if (!belongs_to(identity_of(part.header()), header_)) {
      throw SystemError(fmt::format("of another run than '{}': {}, not {}", files_.back().string(),
                                    to_line(identity_of(part.header())),
                                    to_line(identity_of(header_))));
    }
    if (const std::string difference =
            describe_other_classes(header_.class_names, part.header().class_names);
        !difference.empty()) {
      throw SystemError(fmt::format("differs from '{}' in{}", files_.back().string(), difference));
    }
    merged_->add_part(name_in_merged(work_dir_, file), file,
                      fs::relative(file, work_dir_).generic_string());
    const std::vector<PartRow> found = rows_of_part(part);
    for (const PartRow& row : found) {
      require_row(row.row);
      ++next_row_;
    }
    if (next_row_ > rows()) {
      throw SystemError(fmt::format("row {}, the manifest has {}", next_row_ - 1, rows()));
    }
    std::int64_t index = 0;
    const auto request = [&](std::int64_t row) -> const ClipRequest& {
      return manifest_.rows[static_cast<std::size_t>(row)];
    };
    read_rows(part, found, request,
              {.explained =
                   [&](const std::vector<ClipResult>& views) {
                     for (const ClipResult& view : views) merged_->add_clip(view, index++);
                     tables_.add(views, [&] { return frames(request(views[0].row)); });
                   },
               .failed = [&](const Failure& failure) { tables_.add(failure); }});
  }

  const Clip* frames(const ClipRequest& request) {
    try {
      clips_ = decoder_(request);
      return &clips_.front();
    } catch (const DataError& error) {
      log_.write("warning", {{"message", error.what()}, {"clip_id", request.clip_id}});
      return nullptr;
    }
  }

  RunEnd judge() const {
    const RunStatistics& statistics = tables_.statistics();
    RunEnd end{.asked = rows(),
               .done = statistics.done(),
               .failed = statistics.failed(),
               .random_weights = header_.random_weights};
    if (const std::int64_t allowed = config_.max_failures.allowed(end.asked);
        end.failed > allowed) {
      end.exit_code = ExitCode::kTooManyFailures;
      end.reason = fmt::format(
          "more clips failed than dataset.max_failures allows: {} of {}, allowed are {}",
          end.failed, end.asked, allowed);
    }
    return end;
  }

  fs::path work_dir_;
  std::vector<fs::path> files_;
  WorkDir folder_;
  RunLog log_;
  Manifest manifest_;
  PartHeader header_;
  PreprocessOptions preprocess_;
  ResolvedConfig config_;
  ClipDecoder decoder_;
  RunTables tables_;
  std::optional<MergedWriter> merged_;
  std::vector<Clip> clips_;
  std::int64_t next_row_ = 0;
};

}  // namespace

MergeSummary merge_run(const fs::path& given, PartsAs parts_as) {
  // Of `out/` the folder of a part would not be equal to it.
  const fs::path work_dir = given.has_filename() ? given : given.parent_path();
  require_all_shards(work_dir);
  if (parts_of_run(work_dir).empty()) {
    throw ConfigError(
        fmt::format("'{}' holds no part-*.h5: there is nothing to merge", work_dir.string()));
  }
  return Merge(work_dir, parts_as).run();
}

}  // namespace cfp
