#include "stages/decode/deadline.h"

#include <algorithm>

#include <fmt/format.h>

#include "stages/core/errors.h"

namespace cfp {

Deadline::Deadline(double limit_s)
    : limit_s_(limit_s),
      end_(std::chrono::steady_clock::now() +
           std::chrono::duration_cast<std::chrono::steady_clock::duration>(
               std::chrono::duration<double>(std::min(limit_s, 1e8)))) {}

double Deadline::rest_s() const {
  const std::chrono::duration<double> rest = end_ - std::chrono::steady_clock::now();
  return std::max(rest.count(), 1e-9);
}

void Deadline::check(const std::string& path) const {
  if (has_passed()) {
    throw DataError(FailureReason::kTimeout,
                    fmt::format("{}: decoding took longer than the limit of {} s", path, limit_s_));
  }
}

}  // namespace cfp
