#include "pipeline/run/run.h"

#include <algorithm>
#include <csignal>
#include <deque>
#include <memory>
#include <optional>

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include "pipeline/run/batch_pipeline.h"
#include "pipeline/run/device_pool.h"
#include "pipeline/run/environment.h"
#include "pipeline/run/failure_watch.h"
#include "pipeline/run/part_files.h"
#include "pipeline/run/prepare.h"
#include "pipeline/run/progress.h"
#include "pipeline/run/replicas.h"
#include "pipeline/run/run_end.h"
#include "pipeline/run/run_in_folder.h"
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

/// @return the event of the log that tells of it
const char* event_of(DeviceNotice::Kind kind) {
  switch (kind) {
    case DeviceNotice::Kind::kHalved:
      return "batch_halved";
    case DeviceNotice::Kind::kLost:
      return "device_lost";
    case DeviceNotice::Kind::kNotStarted:
      return "device_not_started";
  }
  throw std::logic_error("DeviceNotice::Kind out of range");
}

/// Takes the part of a row's results that belongs to one of several runs.
/// @param first, count  its pyramids among those of each result
RowOutcome take_part(RowOutcome& row, std::size_t first, std::size_t count) {
  RowOutcome part{.request = row.request, .clips = row.clips, .failure = row.failure};
  for (ClipResult& whole : row.results) {
    const std::span<Pyramid> pyramids = std::span(whole.pyramids).subspan(first, count);
    ClipResult& result = part.results.emplace_back(ClipResult{.row = whole.row,
                                                              .clip_id = whole.clip_id,
                                                              .path = whole.path,
                                                              .view = whole.view,
                                                              .views = whole.views,
                                                              .label = whole.label,
                                                              .prediction = whole.prediction,
                                                              .logits = whole.logits,
                                                              .frame_times_s = whole.frame_times_s,
                                                              .decode_s = whole.decode_s,
                                                              .network_s = whole.network_s,
                                                              .pyramid_s = whole.pyramid_s});
    std::ranges::move(pyramids, std::back_inserter(result.pyramids));
  }
  return part;
}

/// Runs that share decoding and forward passes, each in its folder.
class Session {
 public:
  Session(const RunOptions& options, std::span<const ClipRequest> rows, const Prepared& prepared)
      : options_(options),
        rows_(rows),
        prepared_(prepared),
        devices_(devices_of(prepared.config.runtime)),
        decoder_(prepared.config.sampling, prepared.preprocess,
                 {.time_limit_s = prepared.config.runtime.clip_timeout_s}) {}

  void add(const Prepared& prepared, const std::vector<std::string>& overrides,
           const WorkDir& folder) {
    runs_.emplace_back(prepared,
                       RunRecord{options_.command, overrides, devices_, options_.shard.has_value()},
                       folder, rows_);
  }

  /// @return one summary a run, in order
  std::vector<RunSummary> run() {
    try {
      for (RunInFolder& run : runs_) run.begin(options_.resume, decoder_);
      warn_if_slow();
      const RunEnd end = explain();
      std::vector<RunSummary> summaries;
      const auto wall = std::chrono::steady_clock::now() - start_;
      for (RunInFolder& run : runs_) summaries.push_back(run.finish(end, wall));
      return summaries;
    } catch (const SystemError& error) {
      for (RunInFolder& run : runs_) run.log_error(error.what());
      throw;
    }
  }

 private:
  void warn_if_slow() {
    const auto warning = slow_run_warning(devices_, fused_convolutions_available());
    if (!warning) return;
    warn(*warning);
    for (RunInFolder& run : runs_) run.log().write("warning", {{"message", *warning}});
  }

  /// Called from the thread of a device.
  void tell(const DeviceNotice& notice) {
    const bool halved = notice.kind == DeviceNotice::Kind::kHalved;
    nlohmann::ordered_json fields{{"device", notice.device}};
    if (halved) fields["batch_size"] = notice.batch_size;
    if (!halved) fields["devices_left"] = notice.devices_left;
    fields["message"] = notice.reason;
    for (RunInFolder& run : runs_) run.log().write(event_of(notice.kind), fields);
    warn(describe(notice));
  }

  /// What all runs have, because the one that is least far has it.
  const EarlierRun& earlier() const {
    return std::ranges::min_element(runs_, {},
                                    [](const RunInFolder& run) { return run.earlier().rows(); })
        ->earlier();
  }

  FailureWatch failure_watch() const {
    const auto all_rows = static_cast<std::int64_t>(prepared_.labels->rows.size());
    const auto known =
        std::ranges::count_if(rows_.first(static_cast<std::size_t>(earlier().rows())),
                              [](const ClipRequest& row) { return row.problem.has_value(); });
    return {all_rows, prepared_.config.max_failures.allowed(all_rows), earlier(), known};
  }

  /// The rows that are left, and their parts.
  /// @return how it ended: exit code and reason
  RunEnd explain() {
    FailureWatch watch = failure_watch();
    const bool hopeless = !watch.reason().empty();
    const auto left = rows_.subspan(static_cast<std::size_t>(earlier().rows()));
    std::int64_t given_up = static_cast<std::int64_t>(left.size());
    // Outlives the last part: its threads may still be busy with what was given up.
    std::optional<DevicePool> pool;
    if (!left.empty() && !hopeless) {
      std::vector<ExplainOptions> asked;
      for (const RunInFolder& run : runs_) asked.push_back(run.prepared().config.explain);
      pool.emplace(device_workers(prepared_, asked, devices_),
                   pool_options(prepared_.config.runtime,
                                [this](const DeviceNotice& notice) { tell(notice); }));
      try {
        given_up = run_rows(left, *pool, watch);
      } catch (...) {
        keep_finished_rows();
        throw;
      }
    }
    for (RunInFolder& run : runs_) run.finish_part();
    RunEnd end;
    if (!watch.reason().empty()) {
      end.exit_code = ExitCode::kTooManyFailures;
      end.reason = watch.reason() + (hopeless ? kFreshHint : "");
    } else if (given_up > 0) {
      const bool interrupted = options_.stop_signal() == SIGINT;
      end.exit_code = interrupted ? ExitCode::kInterrupted : ExitCode::kStopped;
      end.reason =
          fmt::format("stopped by {} after {} of {} clips; the same command goes on from there",
                      interrupted ? "^C" : "a signal",
                      static_cast<std::int64_t>(rows_.size()) - given_up, rows_.size());
    }
    return end;
  }

  /// After an error: gives the open parts their names, but where writing them was the error.
  void keep_finished_rows() {
    if (is_writing_) return;
    for (RunInFolder& run : runs_) {
      try {
        run.finish_part();
      } catch (const SystemError&) {
        // The first error is the one to tell; what is lost with this part is done again.
      }
    }
  }

  /// @return how many rows were given up
  std::int64_t run_rows(std::span<const ClipRequest> left, DevicePool& pool, FailureWatch& watch) {
    PipelineOptions pipeline = pipeline_options(prepared_.config.runtime);
    pipeline.batch_size = rows_of_a_batch(prepared_.config);
    for (RunInFolder& run : runs_) {
      run.log().write("ready", {{"replicas", pool.workers()},
                                {"decode_workers", pipeline.decode_workers},
                                {"shared_by", runs_.size()}});
    }
    std::optional<Progress> progress;
    if (options_.show_progress) {
      progress.emplace(stderr, static_cast<std::int64_t>(left.size()));
    }
    std::int64_t index = earlier().rows();
    const auto write = [&](RowOutcome row) {
      const bool failed = row.failure.has_value(), known = row.request->problem.has_value();
      is_writing_ = true;
      share_out(index++, std::move(row));
      is_writing_ = false;
      if (progress) failed ? progress->add_failed() : progress->add_done();
      return watch.go_on(failed, known);
    };
    return run_batches(left, pipeline, decoder_, pool, write,
                       [&] { return options_.stop_signal() != 0; })
        .given_up;
  }

  void share_out(std::int64_t index, RowOutcome row) {
    if (runs_.size() == 1) return runs_.front().add(index, row);
    std::size_t first = 0;
    for (RunInFolder& run : runs_) {
      const std::size_t count =
          pyramid_count(run.prepared().config.explain, prepared_.network->num_classes());
      RowOutcome part = take_part(row, first, count);
      run.add(index, part);
      first += count;
    }
  }

  static constexpr const char* kFreshHint =
      ", in an earlier run; allow more failures, or begin anew with --fresh";

  const std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  const RunOptions& options_;
  std::span<const ClipRequest> rows_;
  const Prepared& prepared_;  ///< of the first run; the others differ in what they explain alone
  std::vector<std::string> devices_;
  ClipDecoder decoder_;
  std::deque<RunInFolder> runs_;
  bool is_writing_ = false;  ///< true behind an error that came from writing
};

/// What a run says that had nothing to do.
RunSummary complete_summary(const WorkDir& folder) {
  const RunEnd end = read_run_end(folder.path()).value();
  return {.end = end, .folder = folder.path(), .earlier = end.asked, .was_complete = true};
}

/// The folder of a run, or of its shard, with what the options leave in it.
WorkDir open_folder(const Prepared& prepared, const RunOptions& options) {
  const std::filesystem::path work_dir = prepared.config.output.work_dir;
  require_one_kind(work_dir, options.shard);
  if (options.shard) make_shared_folder(work_dir);
  WorkDir folder(options.shard ? shard_path(work_dir, *options.shard) : work_dir);
  const bool fresh = options.resume == ResumeMode::kFresh || prepared.config.output.overwrite;
  // Once more: shards may have begun before this run showed that it is here.
  if (!options.shard) require_one_kind(work_dir, options.shard);
  // First, because what is refused must not have lost anything.
  if (options.shard) agree_with_shards(work_dir, folder, prepared);
  if (fresh) folder.remove_results();
  return folder;
}

}  // namespace

std::vector<RunSummary> run_together(std::vector<RunPoint> points, const RunOptions& options) {
  std::deque<Prepared> prepared;
  for (RunPoint& point : points) {
    prepared.push_back(prepared.empty() ? prepare(std::move(point.config))
                                        : prepare_like(prepared.front(), std::move(point.config)));
  }
  std::span<const ClipRequest> rows = prepared.front().labels->rows;
  if (options.shard) {
    const RowRange range = rows_of_shard(*options.shard, static_cast<std::int64_t>(rows.size()));
    rows =
        rows.subspan(static_cast<std::size_t>(range.begin), static_cast<std::size_t>(range.size()));
  }
  std::vector<RunSummary> summaries(points.size());
  std::deque<WorkDir> folders;
  Session session(options, rows, prepared.front());
  std::vector<std::size_t> open;  // those that have something to do
  for (std::size_t i = 0; i < points.size(); ++i) {
    const WorkDir& folder = folders.emplace_back(open_folder(prepared[i], options));
    if (is_complete(folder, prepared[i], rows)) {
      summaries[i] = complete_summary(folder);
      continue;
    }
    session.add(prepared[i], points[i].overrides, folder);
    open.push_back(i);
  }
  if (open.empty()) return summaries;
  std::vector<RunSummary> done = session.run();
  for (std::size_t i = 0; i < open.size(); ++i) summaries[open[i]] = std::move(done[i]);
  return summaries;
}

RunSummary run(RunPoint point, const RunOptions& options) {
  std::vector<RunPoint> points;
  points.push_back(std::move(point));
  return run_together(std::move(points), options).front();
}

}  // namespace cfp
