// Explained clips made from a formula: any number of them, with no network and no video.
#pragma once

#include <cstdint>
#include <ostream>

#include "stages/core/clip.h"
#include "stages/core/pyramid.h"

namespace cfp::test {

/// How large the made-up network is.
struct ExampleShape {
  int classes = 7;
  int frames = 4;
  int targets = 1;
  int kernels = 24;  ///< of the first layer; deeper ones have more
  int layers = 3;    ///< the classifier included
  bool tubes = true;
  bool additions = true;
};

inline void PrintTo(const ExampleShape& shape, std::ostream* out) {
  *out << shape.classes << " classes, " << shape.targets << " targets, " << shape.kernels
       << " kernels";
}

/// A clip whose every number follows from `row` and the shape. Every fifth clip has no label, every
/// third one is predicted wrongly, and names hold what breaks careless writers.
ClipResult example_clip(std::int64_t row, const ExampleShape& shape = {});

/// A failure of row `row`; reasons take turns.
Failure example_failure(std::int64_t row);

}  // namespace cfp::test
