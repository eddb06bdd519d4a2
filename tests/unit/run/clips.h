// Rows, clips and outcomes of a few bytes, for tests of what moves them around.
#pragma once

#include <vector>

#include <fmt/format.h>

#include "pipeline/run/device_pool.h"
#include "stages/core/clip.h"

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

/// What stands for computing: the row's number and the views come back.
inline RowExplanation echo(std::span<const Clip> row) {
  std::vector<ClipResult> results;
  for (const Clip& clip : row) {
    results.push_back({.row = clip.request.row,
                       .clip_id = clip.request.clip_id,
                       .view = clip.view,
                       .prediction = static_cast<int>(clip.request.row)});
  }
  return results;
}

/// Workers of a pool that are all alike.
inline std::vector<DeviceWorker> alike(std::size_t count, const WorkerFactory& make) {
  std::vector<DeviceWorker> workers;
  for (std::size_t i = 0; i < count; ++i) workers.push_back({fmt::format("device{}", i), make});
  return workers;
}

/// Calls `explain` for each row among the clips.
template <class Explain>
Outcomes by_row(std::span<const Clip> clips, Explain explain) {
  Outcomes outcomes;
  for (; !clips.empty(); clips = clips.subspan(first_row(clips).size())) {
    outcomes.push_back(explain(first_row(clips)));
  }
  return outcomes;
}

}  // namespace cfp::test
