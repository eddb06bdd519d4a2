#include "stages/decode/sampling.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include <fmt/format.h>

#include "stages/core/errors.h"

namespace cfp {
namespace {

constexpr int kMaxFrames = 4096;
constexpr int kMaxViews = 1024;
constexpr std::int64_t kMaxResampled = 100'000'000;

void check_range(const char* name, int value, int largest) {
  if (value < 1 || value > largest) {
    throw ConfigError(fmt::format("sampling.{} is {}; it must be 1 to {}", name, value, largest));
  }
}

/// First frames for clips of one frame: the middle of each of num_clips equal parts.
std::vector<std::int64_t> single_frame_offsets(std::int64_t available, int num_clips) {
  const double part = static_cast<double>(available) / num_clips;
  std::vector<std::int64_t> offsets;
  for (int i = 0; i < num_clips; ++i) {
    offsets.push_back(static_cast<std::int64_t>(i * part + part / 2));
  }
  return offsets;
}

std::vector<std::int64_t> uniform_offsets(std::int64_t available, const SamplingOptions& options) {
  const std::int64_t span =
      static_cast<std::int64_t>(options.clip_len - 1) * options.frame_interval + 1;
  const std::int64_t largest = std::max<std::int64_t>(available - span, 0);
  if (options.num_clips == 1) return {largest / 2};
  const double between = static_cast<double>(largest) / (options.num_clips - 1);
  std::vector<std::int64_t> offsets;
  for (int i = 0; i < options.num_clips; ++i) {
    offsets.push_back(static_cast<std::int64_t>(std::nearbyint(i * between)));
  }
  return offsets;
}

std::vector<std::int64_t> dense_offsets(std::int64_t available, const SamplingOptions& options) {
  const std::int64_t last_position = std::max<std::int64_t>(0, available - options.dense_range);
  const std::int64_t step = options.dense_range / options.num_clips;
  std::vector<std::int64_t> offsets;
  for (int p = 0; p < options.dense_positions; ++p) {
    // The last one exactly, whatever the rounding of the step.
    const std::int64_t position =
        p > 0 && p == options.dense_positions - 1
            ? last_position
            : static_cast<std::int64_t>(p * (static_cast<double>(last_position) /
                                             std::max(1, options.dense_positions - 1)));
    for (int j = 0; j < options.num_clips; ++j) {
      offsets.push_back((position + j * step) % available);
    }
  }
  return offsets;
}

std::vector<std::int64_t> view_indices(std::int64_t offset, std::int64_t available,
                                       const SamplingOptions& options) {
  std::vector<std::int64_t> indices;
  for (int t = 0; t < options.clip_len; ++t) {
    std::int64_t index = offset + static_cast<std::int64_t>(t) * options.frame_interval;
    if (index >= available) {
      switch (options.out_of_bound) {
        case OutOfBound::kLoop:
          index %= available;
          break;
        case OutOfBound::kRepeatLast:
          index = indices.back();
          break;
        case OutOfBound::kError:
          throw DataError(
              FailureReason::kTooShort,
              fmt::format("{} frames are available, but a clip of {} frames at interval {} "
                          "from frame {} needs {}; sampling.out_of_bound is 'error'",
                          available, options.clip_len, options.frame_interval, offset,
                          offset + (options.clip_len - 1) * options.frame_interval + 1));
      }
    }
    indices.push_back(index);
  }
  return indices;
}

}  // namespace

void check(const SamplingOptions& options) {
  check_range("clip_len", options.clip_len, kMaxFrames);
  check_range("frame_interval", options.frame_interval, kMaxFrames);
  check_range("num_clips", options.num_clips, kMaxViews);
  check_range("dense_range", options.dense_range, std::numeric_limits<int>::max());
  check_range("dense_positions", options.dense_positions, kMaxViews);
  if (options.crops != 1 && options.crops != 3) {
    throw ConfigError(fmt::format("sampling.crops is {}; it must be 1 or 3", options.crops));
  }
  if (options.policy == SamplingPolicy::kCenter && options.num_clips != 1) {
    throw ConfigError(
        fmt::format("sampling.num_clips is {}, but sampling.policy 'center' gives "
                    "one clip; use 'uniform' or 'dense'",
                    options.num_clips));
  }
  if (options.target_fps && !(*options.target_fps > 0 && *options.target_fps <= 1000)) {
    throw ConfigError(fmt::format("sampling.target_fps is {}; it must be above 0 and at most 1000",
                                  *options.target_fps));
  }
}

int clip_count(const SamplingOptions& options) {
  return options.policy == SamplingPolicy::kDense ? options.num_clips * options.dense_positions
                                                  : options.num_clips;
}

int view_count(const SamplingOptions& options) { return clip_count(options) * options.crops; }

std::vector<std::vector<std::int64_t>> sample_frames(std::int64_t available,
                                                     const SamplingOptions& options) {
  if (available <= 0) throw DataError(FailureReason::kEmpty, "there is no frame to sample from");
  const std::vector<std::int64_t> offsets =
      options.policy == SamplingPolicy::kDense ? dense_offsets(available, options)
      : options.clip_len == 1                  ? single_frame_offsets(available, options.num_clips)
                                               : uniform_offsets(available, options);
  std::vector<std::vector<std::int64_t>> views;
  for (const std::int64_t offset : offsets) {
    views.push_back(view_indices(offset, available, options));
  }
  return views;
}

std::vector<std::int64_t> resample(const std::vector<double>& times_s, double end_s, double tick_s,
                                   double target_fps) {
  std::vector<std::int64_t> indices;
  std::size_t shown = 0;
  for (std::int64_t k = 0; !times_s.empty(); ++k) {
    const double now_s = times_s.front() + static_cast<double>(k) / target_fps;
    // The first frame is always shown, however short the video.
    if (k > 0 && now_s + tick_s >= end_s) break;
    if (k == kMaxResampled) {
      throw DataError(FailureReason::kDecodeError,
                      fmt::format("resampling {} s to {} frames a second gives too many frames",
                                  end_s - times_s.front(), target_fps));
    }
    while (shown + 1 < times_s.size() && times_s[shown + 1] <= now_s + tick_s) ++shown;
    indices.push_back(static_cast<std::int64_t>(shown));
  }
  return indices;
}

}  // namespace cfp
