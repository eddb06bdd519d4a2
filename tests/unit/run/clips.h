// Rows, clips and outcomes of a few bytes, for tests of what moves them around.
#pragma once

#include <vector>

#include <fmt/format.h>

#include "stages/core/clip.h"
#include "stages/pyramid/explainer.h"

namespace cfp::test {

inline std::vector<ClipRequest> make_rows(int count) {
  std::vector<ClipRequest> rows;
  for (int i = 0; i < count; ++i) {
    rows.push_back({.row = i, .clip_id = fmt::format("clip {}", i), .media = {.path = "x"}});
  }
  return rows;
}

/// A clip of one pixel a frame whose length in frames is `size`.
inline Clip make_clip(const ClipRequest& request, int view = 0, int size = 1) {
  Clip clip{.request = request, .view = view};
  clip.frames = {.length = size, .height = 1, .width = 1};
  clip.frames.rgb_thwc.assign(static_cast<std::size_t>(size) * 3, 0);
  return clip;
}

/// What stands for computing: the row's number and the view come back.
inline ExplainOutcome echo(const Clip& clip) {
  return ClipResult{.row = clip.request.row,
                    .clip_id = clip.request.clip_id,
                    .view = clip.view,
                    .prediction = static_cast<int>(clip.request.row)};
}

}  // namespace cfp::test
