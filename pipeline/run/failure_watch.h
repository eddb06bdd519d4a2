// When a run has too many failures to go on.
#pragma once

#include <cstdint>
#include <string>

#include <fmt/format.h>

#include "pipeline/run/resume.h"
#include "pipeline/run/run.h"

namespace cfp {

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

}  // namespace cfp
