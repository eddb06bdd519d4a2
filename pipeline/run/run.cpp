#include "pipeline/run/run.h"

#include <csignal>
#include <map>
#include <memory>
#include <optional>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "pipeline/run/batch_pipeline.h"
#include "pipeline/run/device_pool.h"
#include "pipeline/run/environment.h"
#include "pipeline/run/prepare.h"
#include "pipeline/run/progress.h"
#include "pipeline/run/render.h"
#include "pipeline/run/replicas.h"
#include "pipeline/run/run_outputs.h"
#include "stages/core/output_file.h"
#include "stages/decode/clip_decoder.h"
#include "stages/network/fused_convolutions.h"

namespace cfp {
namespace {

/// Says when failures are too many, row by row.
class FailureWatch {
 public:
  FailureWatch(std::int64_t rows, std::int64_t allowed) : rows_(rows), allowed_(allowed) {}

  /// @param known  whether it was known before it was opened, as of a file that is not there: many
  ///               such rows in a row are a copy with parts left out, not a sign of anything else
  /// @return whether the run may go on
  bool go_on(bool failed, bool known) {
    if (failed) ++failed_;
    if (!known) {
      ++seen_;
      if (failed) ++hopeless_;
    }
    if (failed_ > allowed_) {
      reason_ = fmt::format(
          "more clips failed than dataset.max_failures allows: {} of {}, allowed "
          "are {}",
          failed_, rows_, allowed_);
    } else if (!known && hopeless_ == seen_ && seen_ == std::min(kHopelessRows, rows_) &&
               allowed_ < rows_) {
      reason_ = fmt::format("the first {} clips all failed", seen_);
    }
    return reason_.empty();
  }
  const std::string& reason() const { return reason_; }

 private:
  std::int64_t rows_, allowed_, failed_ = 0;
  std::int64_t seen_ = 0, hopeless_ = 0;  ///< without those that were known beforehand
  std::string reason_;
};

std::string_view state_of(ExitCode code) {
  switch (code) {
    case ExitCode::kDone:
      return "complete";
    case ExitCode::kTooManyFailures:
      return "too_many_failures";
    case ExitCode::kStopped:
    case ExitCode::kInterrupted:
      return "stopped";
    default:
      return "failed";
  }
}

/// run.json: how it ended; its presence says that the folder holds results.
void write_end(const RunSummary& summary, RunLog& log, double wall_s) {
  const nlohmann::ordered_json end{{"state", state_of(summary.exit_code)},
                                   {"exit_code", static_cast<int>(summary.exit_code)},
                                   {"asked", summary.asked},
                                   {"done", summary.done},
                                   {"failed", summary.failed},
                                   {"reason", summary.reason},
                                   {"random_weights", summary.random_weights},
                                   {"ended", utc_time()},
                                   {"wall_s", wall_s}};
  log.write("end", end);
  write_file(summary.folder / "run.json",
             end.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + '\n');
}

void judge(const FailureWatch& watch, int signal, const PipelineCounts& counts,
           RunSummary& summary) {
  summary.done = counts.done;
  summary.failed = counts.failed;
  if (!watch.reason().empty()) {
    summary.exit_code = ExitCode::kTooManyFailures;
    summary.reason = watch.reason();
  } else if (counts.given_up > 0) {
    summary.exit_code = signal == SIGINT ? ExitCode::kInterrupted : ExitCode::kStopped;
    summary.reason =
        fmt::format("stopped by {} after {} of {} clips", signal == SIGINT ? "^C" : "a signal",
                    counts.done + counts.failed, summary.asked);
  } else if (counts.done + counts.failed != summary.asked) {
    throw std::logic_error(
        fmt::format("{} done and {} failed of {} rows", counts.done, counts.failed, summary.asked));
  }
}

PipelineCounts run_rows(const Prepared& prepared, const std::vector<std::string>& devices,
                        const RunOptions& options, RunOutputs& outputs, FailureWatch& watch) {
  const RuntimeOptions& runtime = prepared.config.runtime;
  // batch_size counts clips: with several views a row, fewer rows are decoded at once.
  const int rows = std::max(1, runtime.batch_size / view_count(prepared.config.sampling));
  const PipelineOptions pipeline{.batch_size = rows,
                                 .decode_workers = runtime.decode_workers > 0
                                                       ? runtime.decode_workers
                                                       : describe_machine().processors,
                                 .max_batches_in_flight = runtime.max_batches_in_flight};
  const ClipDecoder decoder(prepared.config.sampling, prepared.preprocess,
                            {.time_limit_s = runtime.clip_timeout_s});
  DevicePool pool(worker_factories(prepared, devices),
                  static_cast<std::size_t>(runtime.max_batches_in_flight),
                  static_cast<std::size_t>(runtime.batch_size));
  outputs.log().write("ready",
                      {{"replicas", pool.workers()}, {"decode_workers", pipeline.decode_workers}});
  std::optional<Progress> progress;
  if (options.show_progress) {
    progress.emplace(stderr, static_cast<std::int64_t>(prepared.labels.rows.size()));
  }
  const auto write = [&](const RowOutcome& row) {
    outputs.add(row);
    if (progress) row.failure ? progress->add_failed() : progress->add_done();
    return watch.go_on(row.failure.has_value(), row.request->problem.has_value());
  };
  return run_batches(prepared.labels.rows, pipeline, decoder, pool, write,
                     [&] { return options.stop_signal() != 0; });
}

/// Draws the tubes of the first clips, where the config asks for it.
void render_first(const Prepared& prepared, RunOutputs& outputs,
                  const std::filesystem::path& folder) {
  if (prepared.config.output.render == 0) return;
  const FinishedRun run(folder);
  std::vector<StoredClip> clips;  // of each row its first view
  for (const StoredClip& stored : run.clips()) {
    if (static_cast<int>(clips.size()) == prepared.config.output.render) break;
    if (clips.empty() || clips.back().row != stored.row) clips.push_back(stored);
  }
  if (clips.empty()) return;
  const RenderSummary summary =
      render_clips(run, clips, {}, folder / kOverlaysName, [&](const std::string& line) {
        outputs.log().write("render", {{"message", line}});
      });
  outputs.log().write("rendered", {{"clips", summary.clips},
                                   {"failed", summary.failed},
                                   {"files", summary.files},
                                   {"constant", summary.constant}});
}

}  // namespace

RunSummary run(ResolvedConfig config, const RunOptions& options) {
  const auto start = std::chrono::steady_clock::now();
  const Prepared prepared = prepare(std::move(config));
  const std::vector<std::string> devices = devices_of(prepared.config.runtime);
  const WorkDir folder(prepared.config.output.work_dir, prepared.config.output.overwrite);
  RunOutputs outputs(prepared, {options.command, options.overrides, devices}, folder);

  if (const auto warning = slow_run_warning(devices, fused_convolutions_available())) {
    fmt::print(stderr, "cfp: warning: {}\n", *warning);
    outputs.log().write("warning", {{"message", *warning}});
  }

  RunSummary summary{.folder = folder.path(),
                     .asked = static_cast<std::int64_t>(prepared.labels.rows.size()),
                     .random_weights = prepared.network->random_weights};
  FailureWatch watch(summary.asked, prepared.config.max_failures.allowed(summary.asked));
  try {
    judge(watch, options.stop_signal(), run_rows(prepared, devices, options, outputs, watch),
          summary);
    outputs.finish();
    render_first(prepared, outputs, folder.path());
  } catch (const SystemError& error) {
    outputs.log().write("error", {{"message", error.what()}});
    throw;
  }
  const std::chrono::duration<double> wall = std::chrono::steady_clock::now() - start;
  write_end(summary, outputs.log(), wall.count());
  summary.text = format_summary(outputs.statistics());
  return summary;
}

}  // namespace cfp
