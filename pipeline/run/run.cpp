#include "pipeline/run/run.h"

#include <algorithm>
#include <csignal>
#include <memory>
#include <optional>

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include "pipeline/run/batch_pipeline.h"
#include "pipeline/run/device_pool.h"
#include "pipeline/run/environment.h"
#include "pipeline/run/part_files.h"
#include "pipeline/run/prepare.h"
#include "pipeline/run/progress.h"
#include "pipeline/run/render.h"
#include "pipeline/run/replicas.h"
#include "pipeline/run/run_end.h"
#include "pipeline/run/run_outputs.h"
#include "pipeline/run/shard_folder.h"
#include "stages/decode/clip_decoder.h"
#include "stages/network/fused_convolutions.h"

namespace cfp {
namespace {

/// Says something on the terminal, over the bar where one is drawn.
void warn(const std::string& message) {
  const bool over_bar = isatty(STDERR_FILENO) == 1;
  fmt::print(stderr, "{}cfp: warning: {}\n", over_bar ? "\r\033[K" : "", message);
}

/// Says when failures are too many, row by row.
class FailureWatch {
 public:
  /// @param rows     of the whole run, be it in shards or not
  /// @param earlier  what the folder held already
  /// @param known    rows of `earlier` whose failure was known before they were opened
  FailureWatch(std::int64_t rows, std::int64_t allowed, const EarlierRun& earlier,
               std::int64_t known)
      : rows_(rows),
        allowed_(allowed),
        failed_(earlier.failed),
        seen_(earlier.rows() - known),
        hopeless_(earlier.failed - known) {
    judge();
  }

  /// @param known  whether it was known before it was opened, as of a file that is not there: many
  ///               such rows in a row are a copy with parts left out, not a sign of anything else
  /// @return whether the run may go on
  bool go_on(bool failed, bool known) {
    if (failed) ++failed_;
    if (!known) {
      ++seen_;
      if (failed) ++hopeless_;
    }
    judge();
    return reason_.empty();
  }
  const std::string& reason() const { return reason_; }

 private:
  void judge() {
    if (failed_ > allowed_) {
      reason_ = fmt::format(
          "more clips failed than dataset.max_failures allows: {} of {}, allowed "
          "are {}",
          failed_, rows_, allowed_);
    } else if (hopeless_ == seen_ && seen_ == kHopelessRows && allowed_ < rows_) {
      reason_ = fmt::format("the first {} clips all failed", seen_);
    }
  }

  std::int64_t rows_, allowed_, failed_;
  std::int64_t seen_, hopeless_;  ///< without those that were known beforehand
  std::string reason_;
};

/// One run in its folder, from what is there already to its end.
class Session {
 public:
  Session(const Prepared& prepared, const RunOptions& options, const WorkDir& folder,
          std::span<const ClipRequest> rows)
      : prepared_(prepared),
        options_(options),
        folder_(folder),
        rows_(rows),
        devices_(devices_of(prepared.config.runtime)),
        decoder_(prepared.config.sampling, prepared.preprocess,
                 {.time_limit_s = prepared.config.runtime.clip_timeout_s}),
        outputs_(prepared,
                 {options.command, options.overrides, devices_, options.shard.has_value()}, folder),
        summary_{.folder = folder.path(),
                 .asked = static_cast<std::int64_t>(rows.size()),
                 .random_weights = prepared.network->random_weights} {}

  RunSummary run() {
    const EarlierRun earlier = take_earlier();
    outputs_.begin();
    warn_if_slow();
    const auto all_rows = static_cast<std::int64_t>(prepared_.labels.rows.size());
    const auto known =
        std::ranges::count_if(rows_.first(static_cast<std::size_t>(earlier.rows())),
                              [](const ClipRequest& row) { return row.problem.has_value(); });
    FailureWatch watch(all_rows, prepared_.config.max_failures.allowed(all_rows), earlier, known);
    try {
      explain(earlier, watch);
      outputs_.finish_tables();
      if (!options_.shard)
        render_first(folder_.path(), prepared_.config.output.render, outputs_.log());
    } catch (const SystemError& error) {
      outputs_.log().write("error", {{"message", error.what()}});
      throw;
    }
    const std::chrono::duration<double> wall = std::chrono::steady_clock::now() - start_;
    write_run_end(folder_.path(), outputs_.log(),
                  {.state = state_of(summary_.exit_code),
                   .exit_code = summary_.exit_code,
                   .asked = summary_.asked,
                   .done = summary_.done,
                   .failed = summary_.failed,
                   .reason = summary_.reason,
                   .random_weights = summary_.random_weights,
                   .wall_s = wall.count()});
    if (!options_.shard) summary_.text = format_summary(outputs_.statistics());
    return summary_;
  }

 private:
  EarlierRun take_earlier() {
    std::vector<Clip> clips;
    const auto frames = [&](std::int64_t row) -> const Clip* {
      const ClipRequest& request = rows_[static_cast<std::size_t>(row - rows_.front().row)];
      try {
        clips = decoder_(request);
        return &clips.front();
      } catch (const DataError& error) {
        outputs_.log().write("warning", {{"message", error.what()}, {"clip_id", request.clip_id}});
        return nullptr;
      }
    };
    const EarlierRun earlier = outputs_.take_earlier(rows_, options_.resume, frames);
    summary_.earlier = earlier.rows();
    if (earlier.rows() > 0) {
      outputs_.log().write("resume", {{"done", earlier.done}, {"failed", earlier.failed}});
    }
    return earlier;
  }

  void warn_if_slow() {
    const auto warning = slow_run_warning(devices_, fused_convolutions_available());
    if (!warning) return;
    warn(*warning);
    outputs_.log().write("warning", {{"message", *warning}});
  }

  /// Called from the thread of a device.
  void tell(const DeviceNotice& notice) {
    const bool halved = notice.kind == DeviceNotice::Kind::kHalved;
    nlohmann::ordered_json fields{{"device", notice.device}};
    if (halved) fields["batch_size"] = notice.batch_size;
    if (!halved) fields["devices_left"] = notice.devices_left;
    fields["message"] = notice.reason;
    outputs_.log().write(halved ? "batch_halved" : "device_lost", fields);
    warn(describe(notice));
  }

  /// The rows that are left, and their parts.
  void explain(const EarlierRun& earlier, FailureWatch& watch) {
    const auto left = rows_.subspan(static_cast<std::size_t>(earlier.rows()));
    PipelineCounts counts{.given_up = static_cast<std::int64_t>(left.size())};
    // Outlives the last part: its threads may still be busy with what was given up.
    std::optional<DevicePool> pool;
    if (!left.empty() && watch.reason().empty()) {
      pool.emplace(device_workers(prepared_, devices_),
                   pool_options(prepared_.config.runtime,
                                [this](const DeviceNotice& notice) { tell(notice); }));
      counts = run_rows(left, earlier, *pool, watch);
    }
    outputs_.finish_part();
    counts.done += earlier.done;
    counts.failed += earlier.failed;
    judge(watch, options_.stop_signal(), counts);
  }

  PipelineCounts run_rows(std::span<const ClipRequest> left, const EarlierRun& earlier,
                          DevicePool& pool, FailureWatch& watch) {
    PipelineOptions pipeline = pipeline_options(prepared_.config.runtime);
    pipeline.batch_size = rows_of_a_batch(prepared_.config);
    outputs_.log().write(
        "ready", {{"replicas", pool.workers()}, {"decode_workers", pipeline.decode_workers}});
    Advance advance{.rows = summary_.asked,
                    .before = earlier.rows(),
                    .done = earlier.done,
                    .failed = earlier.failed};
    folder_.set(advance);
    std::optional<Progress> progress;
    if (options_.show_progress) {
      progress.emplace(stderr, static_cast<std::int64_t>(left.size()));
    }
    const auto write = [&](RowOutcome row) {
      outputs_.add(row);
      ++(row.failure ? advance.failed : advance.done);
      folder_.set(advance);
      if (progress) row.failure ? progress->add_failed() : progress->add_done();
      return watch.go_on(row.failure.has_value(), row.request->problem.has_value());
    };
    return run_batches(left, pipeline, decoder_, pool, write,
                       [&] { return options_.stop_signal() != 0; });
  }

  void judge(const FailureWatch& watch, int signal, const PipelineCounts& counts) {
    summary_.done = counts.done;
    summary_.failed = counts.failed;
    if (!watch.reason().empty()) {
      summary_.exit_code = ExitCode::kTooManyFailures;
      summary_.reason = watch.reason();
      if (summary_.earlier == counts.done + counts.failed) summary_.reason += kFreshHint;
    } else if (counts.given_up > 0) {
      summary_.exit_code = signal == SIGINT ? ExitCode::kInterrupted : ExitCode::kStopped;
      summary_.reason = fmt::format(
          "stopped by {} after {} of {} clips; the same command goes on from there",
          signal == SIGINT ? "^C" : "a signal", counts.done + counts.failed, summary_.asked);
    } else if (counts.done + counts.failed != summary_.asked) {
      throw std::logic_error(fmt::format("{} done and {} failed of {} rows", counts.done,
                                         counts.failed, summary_.asked));
    }
  }

  static constexpr const char* kFreshHint =
      ", in an earlier run; allow more failures, or begin anew with --fresh";

  const std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  const Prepared& prepared_;
  const RunOptions& options_;
  const WorkDir& folder_;
  std::span<const ClipRequest> rows_;
  std::vector<std::string> devices_;
  ClipDecoder decoder_;
  RunOutputs outputs_;
  RunSummary summary_;
};

/// @throws ConfigError a run in one piece and one in shards would share the folder
void require_one_kind(const std::filesystem::path& work_dir, bool is_shard) {
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

/// What a run says that had nothing to do.
RunSummary complete_summary(const Prepared& prepared, const WorkDir& folder) {
  const RunEnd end = read_run_end(folder.path()).value();
  return {.folder = folder.path(),
          .asked = end.asked,
          .done = end.done,
          .failed = end.failed,
          .earlier = end.asked,
          .was_complete = true,
          .random_weights = prepared.network->random_weights};
}

}  // namespace

RunSummary run(ResolvedConfig config, const RunOptions& options) {
  const Prepared prepared = prepare(std::move(config));
  const std::filesystem::path work_dir = prepared.config.output.work_dir;
  std::span<const ClipRequest> rows = prepared.labels.rows;
  require_one_kind(work_dir, options.shard.has_value());
  if (options.shard) {
    const RowRange range = rows_of_shard(*options.shard, static_cast<std::int64_t>(rows.size()));
    rows =
        rows.subspan(static_cast<std::size_t>(range.begin), static_cast<std::size_t>(range.size()));
    make_shared_folder(work_dir);
  }
  const WorkDir folder(options.shard ? shard_path(work_dir, *options.shard) : work_dir);
  if (options.resume == ResumeMode::kFresh) folder.remove_results();
  if (options.shard) agree_with_shards(work_dir, folder, prepared);
  if (is_complete(folder, prepared, rows)) return complete_summary(prepared, folder);
  return Session(prepared, options, folder, rows).run();
}

}  // namespace cfp
