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
  /// @throws DataError `timeout`
  void check(const std::string& path) const;

 private:
  double limit_s_;
  std::chrono::steady_clock::time_point end_;
};

}  // namespace cfp
