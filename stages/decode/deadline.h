// How long one clip may take; for the sources of this folder alone.
#pragma once

#include <chrono>
#include <string>

namespace cfp {

/// When the time for one clip is used up.
class Deadline {
 public:
  explicit Deadline(double limit_s);
  bool has_passed() const { return std::chrono::steady_clock::now() >= end_; }
  /// @return what is left, seconds; above 0, so that it can be a limit again
  double rest_s() const;
  /// @throws DataError `timeout`
  void check(const std::string& path) const;

 private:
  double limit_s_;
  std::chrono::steady_clock::time_point end_;
};

}  // namespace cfp
