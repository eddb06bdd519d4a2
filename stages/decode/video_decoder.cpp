#include "stages/decode/video_decoder.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "stages/decode/bitstream.h"
#include "stages/decode/frame_converter.h"
#include "stages/decode/open_video.h"
#include "stages/decode/open_videos.h"

namespace cfp {
namespace {

/// Half a tick of the coarsest clock that rounds times of frames (Matroska, FLV).
constexpr double kMaxSlack_s = 0.5e-3;

}  // namespace

struct VideoDecoder::State {
  std::string path;
  MediaSegment segment;
  DecodeLimits limits;
  Deadline deadline;
  OpenVideos* reuse = nullptr;  ///< where the video goes when it has served the segment
  OpenVideos::Borrowed borrowed;
  std::shared_ptr<const FrameListing> listing;
  VideoInfo info;
  std::int64_t first_wanted = 0;  ///< where in the listed frames the segment begins
  std::vector<double> times_s;    ///< of the segment's frames
  double end_s = 0;
  bool has_failed = true;  ///< until everything is listed, and while decoding

  State(const MediaSegment& segment, const DecodeLimits& limits, FrameList list, OpenVideos* reuse);
  ~State();
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  OpenVideo& video() const { return *borrowed.video; }
  const std::vector<ListedFrame>& frames() const { return listing->frames; }
  double tick_s() const { return video().tick_s(); }

  void refuse_if_cut_short() const;
  void select_segment();
  void fill_info();
  double last_frame_duration_s() const;

  void decode_from_packets(std::span<const std::int64_t> wanted, const TakeFrame& take);
  void decode_in_order(std::span<const std::int64_t> wanted, const TakeFrame& take);
  void fail_for(std::int64_t index, const std::string& damage) const;
};

VideoDecoder::State::State(const MediaSegment& segment, const DecodeLimits& limits, FrameList list,
                           OpenVideos* reuse)
    : path(segment.path), segment(segment), limits(limits), deadline(limits.time_limit_s) {
  check(limits);
  // What decoding lists is for the segment that needs it alone: its neighbours are listed from
  // packets, whether this one was there or not.
  const bool has_neighbours = segment.start_s || segment.end_s;
  if (reuse != nullptr && has_neighbours && list == FrameList::kFromPackets) {
    this->reuse = reuse;
    borrowed = reuse->take(path, limits, deadline);
  } else {
    borrowed.video = std::make_unique<OpenVideo>(path, limits, deadline);
  }
  listing = video().listing(segment, list);
  refuse_if_cut_short();
  if (frames().empty()) {
    const std::string& why = listing->index.stopped_by;
    throw DataError(FailureReason::kEmpty,
                    fmt::format("{}: the video stream has no frame that can be shown{}", path,
                                why.empty() ? "" : ": " + why));
  }
  select_segment();
  fill_info();
  has_failed = false;
}

VideoDecoder::State::~State() {
  listing.reset();
  if (reuse != nullptr && !has_failed) reuse->give_back(std::move(borrowed));
}

/// A file that ends in an error is fine as long as nothing behind the error is wanted.
void VideoDecoder::State::refuse_if_cut_short() const {
  if (listing->index.stopped_by.empty()) return;
  const double read_to_s = frames().empty() ? 0 : frames().back().time_s;
  if (segment.end_s && *segment.end_s <= read_to_s) return;
  throw DataError(FailureReason::kDecodeError,
                  fmt::format("{}: reading stops after {} frames, at {:.3f} s: {}", path,
                              frames().size(), read_to_s, listing->index.stopped_by));
}

double VideoDecoder::State::last_frame_duration_s() const {
  const auto last = static_cast<std::size_t>(frames().back().position);
  const std::int64_t ticks = listing->index.packets[last].duration;
  if (ticks > 0) return static_cast<double>(ticks) * tick_s();
  if (frames().size() > 1) {
    return (frames().back().time_s - frames().front().time_s) /
           static_cast<double>(frames().size() - 1);
  }
  const AVRational rate = video().stream().avg_frame_rate;
  return rate.num > 0 ? 1 / av_q2d(rate) : 0.04;
}

void VideoDecoder::State::select_segment() {
  // Half a tick, so that a time that was rounded to the clock of the file still means its frame;
  // but where a tick is a whole frame (AVI) nothing was rounded.
  const double slack_s = std::min(tick_s() / 2, kMaxSlack_s);
  const double from_s = segment.start_s.value_or(0) - slack_s;
  const double to_s = segment.end_s.value_or(std::numeric_limits<double>::infinity()) - slack_s;
  const std::vector<ListedFrame>& frames = this->frames();
  const auto first = std::ranges::lower_bound(frames, from_s, {}, &ListedFrame::time_s);
  const auto last = std::ranges::lower_bound(frames, to_s, {}, &ListedFrame::time_s);
  const double video_end_s = frames.back().time_s + last_frame_duration_s();
  if (first >= last) {
    throw DataError(
        FailureReason::kTooShort,
        fmt::format("{}: no frame is shown from {} s to {} s; the video has {:.3f} s", path,
                    segment.start_s.value_or(0),
                    segment.end_s ? fmt::format("{}", *segment.end_s) : "its end", video_end_s));
  }
  first_wanted = first - frames.begin();
  for (auto frame = first; frame != last; ++frame) times_s.push_back(frame->time_s);
  end_s = last != frames.end() ? last->time_s : video_end_s;
  if (segment.end_s) end_s = std::min(end_s, *segment.end_s);
}

void VideoDecoder::State::fill_info() {
  const AVStream& stream = video().stream();
  const std::vector<ListedFrame>& frames = this->frames();
  info.codec = avcodec_get_name(stream.codecpar->codec_id);
  const char* format = av_get_pix_fmt_name(static_cast<AVPixelFormat>(stream.codecpar->format));
  info.pixel_format = format != nullptr ? format : "unknown";
  info.width = stream.codecpar->width;
  info.height = stream.codecpar->height;
  if (video().orientation().swaps_sides()) std::swap(info.width, info.height);
  info.rotation_degrees = video().orientation().degrees_clockwise();
  info.stream_index = stream.index;
  info.frame_count = static_cast<std::int64_t>(frames.size());
  info.frame_count_from_header = stream.nb_frames;
  info.start_time_s = listing->start_time_s;
  info.is_listed_by_decoding = listing->is_listed_by_decoding;
  const double first_s = frames.front().time_s;
  info.duration_s = frames.back().time_s - first_s + last_frame_duration_s();
  info.average_fps =
      info.duration_s > 0 ? static_cast<double>(info.frame_count) / info.duration_s : 0;
  const double step_s =
      frames.size() > 1 ? (frames.back().time_s - first_s) / static_cast<double>(frames.size() - 1)
                        : 0;
  for (std::size_t i = 1; i < frames.size(); ++i) {
    const double deviation_s = frames[i].time_s - frames[i - 1].time_s - step_s;
    if (std::abs(deviation_s) > 2 * tick_s()) info.is_variable_frame_rate = true;
  }
}

void VideoDecoder::State::fail_for(std::int64_t index, const std::string& damage) const {
  const double time_s = times_s[static_cast<std::size_t>(index)];
  const auto where = fmt::format("{}: frame {} at {:.3f} s", path, index + first_wanted, time_s);
  if (damage.empty()) {
    throw FrameListError(FailureReason::kDecodeError,
                         where + " has a time stamp, but decoding does not give it");
  }
  throw DataError(FailureReason::kDecodeError,
                  where + " cannot be decoded, or rests on a part that cannot: " + damage);
}

/// See Note [What is not decoded].
void VideoDecoder::State::decode_from_packets(std::span<const std::int64_t> wanted,
                                              const TakeFrame& take) {
  struct Target {
    std::int64_t position, restart, index;
    bool is_taken = false;
  };
  std::vector<Target> targets;
  for (const std::int64_t i : wanted) {
    const ListedFrame& frame = frames()[static_cast<std::size_t>(first_wanted + i)];
    targets.push_back({frame.position, frame.restart, i});
  }
  std::ranges::sort(targets, {}, &Target::position);

  FrameConverter converter(video().orientation(), path);
  const auto take_if_wanted = [&](const AVFrame& picture, std::int64_t position) {
    const auto target = std::ranges::lower_bound(targets, position, {}, &Target::position);
    if (target == targets.end() || target->position != position || target->is_taken) return;
    if (picture.pts != listing->index.packets[static_cast<std::size_t>(position)].pts) return;
    target->is_taken = true;
    take(target->index, converter.convert(picture));
  };
  PictureDecoder decoder(video().stream(), path, limits);
  PacketSource packets = video().packets(*listing);
  const bool can_skip = can_skip_unreferenced(video().stream().codecpar->codec_id);
  std::int64_t next = 0;
  for (const Target& target : targets) {
    if (target.restart > next) {
      if (next > 0) decoder.finish(take_if_wanted);
      next = target.restart;
    }
    for (; next <= target.position; ++next) {
      feed(decoder, packets, next, can_skip && next != target.position, take_if_wanted);
    }
  }
  decoder.finish(take_if_wanted);
  for (const Target& target : targets) {
    const std::string damage = decoder.damage_between(target.restart, target.position);
    if (!target.is_taken || !damage.empty()) fail_for(target.index, damage);
  }
}

/// For lists from decoding: frames are counted as they come out.
void VideoDecoder::State::decode_in_order(std::span<const std::int64_t> wanted,
                                          const TakeFrame& take) {
  FrameConverter converter(video().orientation(), path);
  PictureDecoder decoder(video().stream(), path, limits);
  PacketSource packets = video().packets(*listing);
  std::int64_t count = 0;
  auto next_wanted = wanted.begin();
  const auto take_if_wanted = [&](const AVFrame& picture, std::int64_t) {
    if (next_wanted != wanted.end() && count == first_wanted + *next_wanted) {
      take(*next_wanted, converter.convert(picture));
      ++next_wanted;
    }
    ++count;
  };
  const auto packet_count = static_cast<std::int64_t>(listing->index.packets.size());
  for (std::int64_t i = 0; i < packet_count && next_wanted != wanted.end(); ++i) {
    feed(decoder, packets, i, false, take_if_wanted);
  }
  decoder.finish(take_if_wanted);
  if (next_wanted != wanted.end()) fail_for(*next_wanted, "decoding ends before it");
  for (const std::int64_t i : wanted) {
    const ListedFrame& frame = frames()[static_cast<std::size_t>(first_wanted + i)];
    const std::string damage = decoder.damage_between(frame.restart, frame.position);
    if (!damage.empty()) fail_for(i, damage);
  }
}

void check(const DecodeLimits& limits) {
  if (!(limits.time_limit_s > 0)) {
    throw ConfigError(
        fmt::format("the time limit for a clip is {} s; it must be above 0", limits.time_limit_s));
  }
  if (limits.max_pixels < 1 || limits.max_clip_bytes < 1 || limits.whole_file_bytes < 0) {
    throw ConfigError(
        fmt::format("limits of {} pixels a frame and {} bytes a clip must be above 0, of {} bytes "
                    "for reading whole files not below",
                    limits.max_pixels, limits.max_clip_bytes, limits.whole_file_bytes));
  }
}

void check_wanted(std::span<const std::int64_t> wanted, std::int64_t count) {
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    if (wanted[i] < 0 || wanted[i] >= count || (i > 0 && wanted[i] <= wanted[i - 1])) {
      throw std::logic_error(
          fmt::format("frame {} of {} is wanted; indices must ascend", wanted[i], count));
    }
  }
}

VideoDecoder::VideoDecoder(const MediaSegment& segment, const DecodeLimits& limits, FrameList list,
                           OpenVideos* reuse)
    : state_(std::make_unique<State>(segment, limits, list, reuse)) {}
VideoDecoder::~VideoDecoder() = default;
VideoDecoder::VideoDecoder(VideoDecoder&&) noexcept = default;
VideoDecoder& VideoDecoder::operator=(VideoDecoder&&) noexcept = default;

const VideoInfo& VideoDecoder::info() const { return state_->info; }
const std::vector<double>& VideoDecoder::frame_times_s() const { return state_->times_s; }
double VideoDecoder::end_time_s() const { return state_->end_s; }
double VideoDecoder::tick_s() const { return state_->tick_s(); }

void VideoDecoder::decode(std::span<const std::int64_t> wanted, const TakeFrame& take) {
  check_wanted(wanted, static_cast<std::int64_t>(state_->times_s.size()));
  if (wanted.empty()) return;
  state_->has_failed = true;
  if (state_->info.is_listed_by_decoding) {
    state_->decode_in_order(wanted, take);
  } else {
    state_->decode_from_packets(wanted, take);
  }
  state_->has_failed = false;
}

VideoInfo probe(const std::string& path, const DecodeLimits& limits) {
  return VideoDecoder({.path = path}, limits).info();
}

}  // namespace cfp
