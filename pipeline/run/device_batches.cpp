#include "pipeline/run/device_batches.h"

#include <algorithm>
#include <iterator>
#include <stdexcept>
#include <utility>

#include <fmt/format.h>

#include "stages/core/errors.h"

namespace cfp {
namespace {

bool same_size(const Frames& a, const Frames& b) {
  return a.length == b.length && a.height == b.height && a.width == b.width;
}

/// Whole rows of one size that are computed in one call.
struct RowRun {
  std::size_t clips = 0, rows = 0;
};

RowRun next_run(std::span<const Clip> clips, std::size_t batch_size) {
  RowRun run{first_row(clips).size(), 1};
  while (run.clips < clips.size() && same_size(clips[run.clips].frames, clips[0].frames)) {
    const std::size_t views = first_row(clips.subspan(run.clips)).size();
    if (run.clips + views > batch_size) break;
    run.clips += views;
    ++run.rows;
  }
  return run;
}

}  // namespace

std::string describe(const DeviceNotice& notice) {
  if (notice.kind == DeviceNotice::Kind::kHalved) {
    return fmt::format("{} is out of memory, from now on it computes {} clip(s) at once: {}",
                       notice.device, notice.batch_size, notice.reason);
  }
  if (notice.kind == DeviceNotice::Kind::kNotStarted) {
    return fmt::format("{} cannot start, the run is left to the other {} replica(s): {}",
                       notice.device, notice.devices_left, notice.reason);
  }
  return fmt::format("{} is lost, its batch is done again by the {} replica(s) that are left: {}",
                     notice.device, notice.devices_left, notice.reason);
}

DeviceBatches::DeviceBatches(std::string device, ExplainFunction explain, std::size_t batch_size,
                             NoticeFunction notice)
    : device_(std::move(device)),
      explain_(std::move(explain)),
      batch_size_(batch_size),
      notice_(std::move(notice)) {}

Outcomes DeviceBatches::operator()(std::span<const Clip> clips) {
  Outcomes all;
  while (!clips.empty()) {
    const RowRun run = next_run(clips, batch_size_);
    Outcomes some;
    try {
      some = explain_(clips.first(run.clips), batch_size_);
      fitted_bytes_ = std::max(fitted_bytes_, clips[0].frames.rgb_thwc.size());
    } catch (const DeviceOutOfMemory& error) {
      std::optional<Failure> failure = make_room(clips.first(run.clips), error);
      if (!failure) continue;
      some.emplace_back(std::move(*failure));
    }
    if (some.size() != run.rows) {
      throw std::logic_error(fmt::format("{} outcomes for {} rows", some.size(), run.rows));
    }
    std::ranges::move(some, std::back_inserter(all));
    clips = clips.subspan(run.clips);
  }
  return all;
}

std::optional<Failure> DeviceBatches::make_room(std::span<const Clip> clips,
                                                const DeviceOutOfMemory& error) {
  const std::size_t at_once = std::min(clips.size(), batch_size_);
  if (at_once > 1) {
    batch_size_ = at_once / 2;
    notice_({.kind = DeviceNotice::Kind::kHalved,
             .device = device_,
             .batch_size = batch_size_,
             .reason = error.what()});
    return std::nullopt;
  }
  const Clip& clip = clips.front();
  if (clip.frames.rgb_thwc.size() <= fitted_bytes_) {
    throw DeviceLost(fmt::format(
        "not even one clip fits any more, though a clip as large did before: {}", error.what()));
  }
  return Failure{
      .row = clip.request.row,
      .clip_id = clip.request.clip_id,
      .path = clip.request.media.path,
      .stage = "network",
      .reason = FailureReason::kMemory,
      .message = fmt::format("{} frames of {}x{} pixels do not fit alone: {}", clip.frames.length,
                             clip.frames.width, clip.frames.height, error.what())};
}

}  // namespace cfp
