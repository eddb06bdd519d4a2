// Numbers of one range as whole steps of it: what a part may hold in the place of float32.
#pragma once

#include <cstdint>
#include <span>

#include "results/store/part_header.h"
#include "stages/core/pyramid.h"

namespace cfp {

/// A range, cut into as many steps as the stored number can count.
class Steps {
 public:
  /// @param count  stored value of `maximum`; 0 stands for `minimum`
  Steps(float minimum, float maximum, int count)
      : minimum_(minimum), range_(maximum - minimum), count_(static_cast<float>(count)) {}

  /// @param value  minimum..maximum
  /// @return the nearest step; 0 where the range is empty or not finite
  std::uint16_t to_stored(float value) const;
  /// @return the value, off by half a step at most: range / count / 2
  float from_stored(float steps) const;

 private:
  float minimum_, range_, count_;
};

/// @return the steps of a stored number: 255, 65535; 0: it holds the numbers as they are
int step_count(StoredAs stored);

/// @return the largest score of some edges, which ends their range; it begins at 0
float largest_score(std::span<const Edge> edges);
/// An edge that is kept keeps a score above 0, however small: one step at least.
std::uint16_t to_stored_score(const Steps& steps, float score);

/// Makes of a result what a reader of its part will get.
void round_as_stored(ClipResult& result, const StoreOptions& options);

}  // namespace cfp
