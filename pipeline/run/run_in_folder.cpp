#include "pipeline/run/run_in_folder.h"

#include <stdexcept>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "pipeline/run/render.h"
#include "pipeline/run/run_end.h"

namespace cfp {

RunInFolder::RunInFolder(const Prepared& prepared, RunRecord record, const WorkDir& folder,
                         std::span<const ClipRequest> rows)
    : prepared_(prepared),
      folder_(folder),
      rows_(rows),
      is_shard_(record.is_shard),
      outputs_(prepared, std::move(record), folder),
      advance_{.rows = static_cast<std::int64_t>(rows.size())} {}

void RunInFolder::begin(ResumeMode resume, const ClipDecoder& decoder) {
  earlier_ = take_earlier(resume, decoder);
  advance_ = {.rows = advance_.rows,
              .before = earlier_.rows(),
              .done = earlier_.done,
              .failed = earlier_.failed};
  saved_ = advance_;
  outputs_.begin();
  folder_.set(advance_);
}

void RunInFolder::add(std::int64_t index, RowOutcome& row) {
  if (index < earlier_.rows()) return;
  const std::int64_t parts = outputs_.parts();
  outputs_.add(row);
  ++(row.failure ? advance_.failed : advance_.done);
  if (outputs_.parts() > parts) saved_ = advance_;
  folder_.set(advance_);
}

void RunInFolder::finish_part() {
  outputs_.finish_part();
  saved_ = advance_;
}

void RunInFolder::log_error(const std::string& message) {
  try {
    folder_.require_own();  // else the log is another process's now
    log().write("error", {{"message", message}, {"done", saved_.done}, {"failed", saved_.failed}});
  } catch (const SystemError&) {
    // The disk is the error, and has no room for its own message; or the folder was taken.
  }
}

RunSummary RunInFolder::finish(RunEnd end, std::chrono::duration<double> wall) {
  outputs_.finish_tables();
  end.asked = advance_.rows;
  end.done = advance_.done;
  end.failed = advance_.failed;
  end.random_weights = prepared_.network->random_weights;
  end.wall_s = wall.count();
  if (end.is_complete() && end.done + end.failed != end.asked) {
    throw std::logic_error(
        fmt::format("{} done and {} failed of {} rows", end.done, end.failed, end.asked));
  }
  folder_.require_own();
  write_run_end(folder_.path(), log(), end);
  // Last, and of whole runs alone: it takes its time, and nothing is lost with it that `cfp
  // render` would not bring back.
  if (!is_shard_ && end.is_complete()) {
    render_first(folder_.path(), prepared_.config.output.render, log());
  }
  return {.end = std::move(end),
          .folder = folder_.path(),
          .earlier = earlier_.rows(),
          .text = is_shard_ ? "" : format_summary(outputs_.statistics())};
}

EarlierRun RunInFolder::take_earlier(ResumeMode resume, const ClipDecoder& decoder) {
  std::vector<Clip> clips;
  const auto frames = [&](std::int64_t row) -> const Clip* {
    const ClipRequest& request = rows_[static_cast<std::size_t>(row - rows_.front().row)];
    try {
      clips = decoder(request);
      return &clips.front();
    } catch (const DataError& error) {
      log().write("warning", {{"message", error.what()}, {"clip_id", request.clip_id}});
      return nullptr;
    }
  };
  EarlierRun earlier = outputs_.take_earlier(rows_, resume, frames);
  if (earlier.rows() > 0) {
    log().write("resume", {{"done", earlier.done}, {"failed", earlier.failed}});
  }
  return earlier;
}

}  // namespace cfp
