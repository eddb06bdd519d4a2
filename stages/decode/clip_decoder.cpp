#include "stages/decode/clip_decoder.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <utility>

#include <fmt/format.h>

#include "stages/core/errors.h"
#include "stages/decode/frame_source.h"
#include "stages/decode/open_videos.h"
#include "stages/decode/resize.h"

namespace cfp {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

/// The frames that each clip takes, as indices into the segment's frames.
std::vector<std::vector<std::int64_t>> wanted_clips(const FrameSource& source,
                                                    const SamplingOptions& sampling) {
  const std::vector<double>& times_s = source.frame_times_s();
  if (!sampling.target_fps) {
    return sample_frames(static_cast<std::int64_t>(times_s.size()), sampling);
  }
  const std::vector<std::int64_t> source_of =
      resample(times_s, source.end_time_s(), source.tick_s(), *sampling.target_fps);
  auto clips = sample_frames(static_cast<std::int64_t>(source_of.size()), sampling);
  for (auto& clip : clips) {
    for (std::int64_t& index : clip) index = source_of[static_cast<std::size_t>(index)];
  }
  return clips;
}

/// Copies preprocessed frames to every place in every view that shows them.
class ClipAssembler {
 public:
  /// @param clips  [clips][clip_len] indices of frames; each clip has `crops` views
  ClipAssembler(const std::vector<std::vector<std::int64_t>>& clips, int crops, std::string path,
                std::int64_t max_bytes)
      : crops_(static_cast<std::size_t>(crops)), path_(std::move(path)), max_bytes_(max_bytes) {
    for (const auto& clip : clips) {
      unique_.insert(unique_.end(), clip.begin(), clip.end());
      views_.insert(views_.end(), crops_, clip);
    }
    std::ranges::sort(unique_);
    unique_.erase(std::unique(unique_.begin(), unique_.end()), unique_.end());
    clips_.resize(views_.size());
  }

  const std::vector<std::int64_t>& unique() const { return unique_; }

  /// @param frames  the crops of frame `index`
  void place(std::int64_t index, const std::vector<Frames>& frames) {
    if (clips_[0].length == 0) allocate(frames[0]);
    const Frames& first = frames[0];
    if (first.height != clips_[0].height || first.width != clips_[0].width) {
      throw DataError(FailureReason::kDecodeError,
                      fmt::format("{}: frames change from {} x {} to {} x {} pixels", path_,
                                  clips_[0].width, clips_[0].height, first.width, first.height));
    }
    for (std::size_t v = 0; v < views_.size(); ++v) {
      for (std::size_t t = 0; t < views_[v].size(); ++t) {
        if (views_[v][t] != index) continue;
        const Frames& frame = frames[v % crops_];
        std::memcpy(clips_[v].frame(static_cast<std::int64_t>(t)), frame.rgb_thwc.data(),
                    frame.rgb_thwc.size());
      }
    }
  }

  std::vector<Clip> clips(const ClipRequest& request, const std::vector<double>& times_s) && {
    std::vector<Clip> result;
    for (std::size_t v = 0; v < views_.size(); ++v) {
      Clip clip{.request = request, .view = static_cast<int>(v), .frames = std::move(clips_[v])};
      for (const std::int64_t index : views_[v]) {
        clip.frame_times_s.push_back(times_s[static_cast<std::size_t>(index)]);
      }
      result.push_back(std::move(clip));
    }
    return result;
  }

 private:
  void allocate(const Frames& frame) {
    const auto length = static_cast<std::int64_t>(views_[0].size());
    const std::int64_t bytes_per_view = length * frame.bytes_per_frame();
    if (bytes_per_view > max_bytes_ / static_cast<std::int64_t>(views_.size())) {
      throw DataError(
          FailureReason::kDecodeError,
          fmt::format("{}: {} views of {} frames of {} x {} pixels take more than the "
                      "limit of {} bytes",
                      path_, views_.size(), length, frame.width, frame.height, max_bytes_));
    }
    for (Frames& clip : clips_) {
      clip = {.length = length, .height = frame.height, .width = frame.width, .rgb_thwc = {}};
      clip.rgb_thwc.resize(static_cast<std::size_t>(bytes_per_view));
    }
  }

  std::vector<std::vector<std::int64_t>> views_;  ///< of each view, its frames
  std::size_t crops_;
  std::string path_;
  std::int64_t max_bytes_;
  std::vector<std::int64_t> unique_;
  std::vector<Frames> clips_;
};

std::vector<Clip> decode_clips(const ClipRequest& request, const SamplingOptions& sampling,
                               const PreprocessOptions& preprocess, const DecodeLimits& limits,
                               FrameList list, OpenVideos& reuse) {
  FrameSource source(request.media, limits, list, &reuse);
  ClipAssembler assembler(wanted_clips(source, sampling), sampling.crops, request.media.path,
                          limits.max_clip_bytes);
  source.decode(assembler.unique(), [&](std::int64_t index, const Frames& frame) {
    assembler.place(index, preprocess_crops(frame, preprocess, sampling.crops));
  });
  return std::move(assembler).clips(request, source.frame_times_s());
}

}  // namespace

ClipDecoder::ClipDecoder(SamplingOptions sampling, PreprocessOptions preprocess,
                         DecodeLimits limits)
    : sampling_(std::move(sampling)),
      preprocess_(std::move(preprocess)),
      limits_(limits),
      open_videos_(std::make_shared<OpenVideos>()) {
  check(sampling_);
  check(preprocess_);
  if (sampling_.crops == 3 && preprocess_.crop == 0) {
    throw ConfigError(
        "sampling.crops is 3, but there is no crop to place; set preprocess.crop, or "
        "sampling.crops "
        "to 1");
  }
  check(limits_);
}

ClipDecoder::Output ClipDecoder::operator()(const Input& request) const {
  if (request.problem) throw DataError(request.problem->reason, request.problem->message);
  const Clock::time_point start = Clock::now();
  Output clips;
  try {
    try {
      clips = decode_clips(request, sampling_, preprocess_, limits_, FrameList::kFromPackets,
                           *open_videos_);
    } catch (const FrameListError&) {
      DecodeLimits rest = limits_;  // one time limit for both attempts
      rest.time_limit_s = std::max(limits_.time_limit_s - seconds_since(start), 1e-9);
      clips = decode_clips(request, sampling_, preprocess_, rest, FrameList::kFromDecoding,
                           *open_videos_);
    }
  } catch (const DataError& error) {
    // Sampling and resizing know nothing of files.
    const std::string message = error.what();
    if (message.starts_with(request.media.path)) throw;
    throw DataError(error.reason(), request.media.path + ": " + message);
  }
  const double spent_s = seconds_since(start);
  for (Clip& clip : clips) clip.decode_s = spent_s;
  return clips;
}

}  // namespace cfp
