#include "stages/decode/video_decoder.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "stages/decode/bitstream.h"
#include "stages/decode/frame_converter.h"
#include "stages/decode/media_input.h"
#include "stages/decode/packet_index.h"
#include "stages/decode/packet_source.h"
#include "stages/decode/picture_decoder.h"

namespace cfp {
namespace {

// Note [Long files]
// A file of more than this is not read as a whole for a segment of it: reading starts at the key
// frame before the segment, if decoding may start there, and stops behind it.
constexpr std::int64_t kLongFileBytes = 64 << 20;
/// How far behind a segment's end reading goes on, for containers whose decoding times run late.
constexpr double kReadBehind_s = 1;
/// Packets at the start of a file among which the first frame is.
constexpr int kFirstPackets = 64;

/// A frame of the video: where in the stream its packet is, and when it is shown.
struct ListedFrame {
  std::int64_t position = 0;  ///< of the packet in the packet index
  std::int64_t restart = 0;   ///< position from which it can be decoded
  double time_s = 0;
};

}  // namespace

struct VideoDecoder::State {
  std::string path;
  MediaSegment segment;
  DecodeLimits limits;
  Deadline deadline;
  std::optional<MediaInput> input;
  PacketRange range;
  PacketIndex index;
  Orientation orientation;
  VideoInfo info;
  double tick_s = 0;
  std::vector<ListedFrame> frames;  ///< of the file, or of the part of it that was read
  std::int64_t first_wanted = 0;    ///< where in `frames` the segment begins
  std::vector<double> times_s;      ///< of the segment's frames
  double end_s = 0;

  State(const MediaSegment& segment, const DecodeLimits& limits, FrameList list);

  void read_packets();
  bool read_part_of_long_file();
  void list_from_packets();
  void list_from_decoding();
  void refuse_if_cut_short() const;
  void select_segment();
  void fill_info();
  double last_frame_duration_s() const;
  double seconds(std::int64_t ticks) const { return static_cast<double>(ticks) * tick_s; }

  void feed(PictureDecoder& decoder, PacketSource& packets, std::int64_t position,
            bool skips_unreferenced, const PictureDecoder::Take& take) const;
  void decode_from_packets(std::span<const std::int64_t> wanted, const TakeFrame& take);
  void decode_in_order(std::span<const std::int64_t> wanted, const TakeFrame& take);
  void fail_for(std::int64_t index, const std::string& damage) const;
};

VideoDecoder::State::State(const MediaSegment& segment, const DecodeLimits& limits, FrameList list)
    : path(segment.path), segment(segment), limits(limits), deadline(limits.time_limit_s) {
  check(limits);
  input.emplace(path, limits, deadline);
  tick_s = av_q2d(input->stream().time_base);
  orientation = stream_orientation(input->stream(), path);
  read_packets();
  if (list == FrameList::kFromPackets && index.has_exact_times && !index.shown.empty()) {
    list_from_packets();
  } else {
    list_from_decoding();
  }
  refuse_if_cut_short();
  if (frames.empty()) {
    throw DataError(FailureReason::kEmpty,
                    fmt::format("{}: the video stream has no frame that can be shown{}", path,
                                index.stopped_by.empty() ? "" : ": " + index.stopped_by));
  }
  select_segment();
  fill_info();
}

void VideoDecoder::State::read_packets() {
  const bool wants_part = segment.start_s || segment.end_s;
  if (wants_part && input->file_bytes() > kLongFileBytes && read_part_of_long_file()) return;
  index = index_packets(*input, path, range);
}

/// See Note [Long files].
/// @return false where this is not possible; `input` is then fresh
bool VideoDecoder::State::read_part_of_long_file() {
  const PacketIndex beginning = index_packets(*input, path, {.max_packets = kFirstPackets});
  if (beginning.has_exact_times && !beginning.shown.empty()) {
    const std::int64_t zero = beginning.packets[static_cast<std::size_t>(beginning.shown[0])].pts;
    PacketRange part;
    const std::int64_t start =
        zero + static_cast<std::int64_t>(std::floor(segment.start_s.value_or(0) / tick_s));
    part.seek_to = start;
    if (segment.end_s) {
      part.stop_at = zero + static_cast<std::int64_t>((*segment.end_s + kReadBehind_s) / tick_s);
    }
    input.emplace(path, limits, deadline);  // so that a second reading lands in the same place
    if (input->seek(start)) {
      index = index_packets(*input, path, part);
      const bool starts_well = !index.packets.empty() && index.packets[0].is_fresh_start &&
                               index.packets[0].pts <= start && index.has_exact_times;
      if (starts_well) {
        index.zero_pts = zero;
        range = part;
        return true;
      }
    }
  }
  index = {};
  input.emplace(path, limits, deadline);
  return false;
}

void VideoDecoder::State::list_from_packets() {
  const auto packet = [&](std::int64_t position) -> const PacketEntry& {
    return index.packets[static_cast<std::size_t>(position)];
  };
  const std::int64_t zero = index.zero_pts.value_or(packet(index.shown.front()).pts);
  info.start_time_s = seconds(zero);
  for (const std::int64_t position : index.shown) {
    frames.push_back({.position = position,
                      .restart = index.restart[static_cast<std::size_t>(position)],
                      .time_s = seconds(packet(position).pts - zero)});
  }
}

void VideoDecoder::State::feed(PictureDecoder& decoder, PacketSource& packets,
                               std::int64_t position, bool skips_unreferenced,
                               const PictureDecoder::Take& take) const {
  deadline.check(path);
  if (index.packets[static_cast<std::size_t>(position)].is_damaged) {
    decoder.mark_damaged(position, "the file has only a part of a packet");
  }
  decoder.feed(packets.at(position), position, skips_unreferenced, take);
}

/// Decodes everything once. Times are those that the decoder makes of what stamps there are; where
/// it makes none, or none that is later than the one before, frames follow at the average rate.
void VideoDecoder::State::list_from_decoding() {
  info.is_listed_by_decoding = true;
  const AVRational rate = input->stream().avg_frame_rate.num > 0 ? input->stream().avg_frame_rate
                                                                 : input->stream().r_frame_rate;
  const double usual_s = rate.num > 0 && rate.den > 0 ? 1 / av_q2d(rate) : 0.04;
  PictureDecoder decoder(input->stream(), path, limits);
  decoder.ignore_pixels();
  std::optional<std::int64_t> zero = index.zero_pts;
  std::int64_t restart = 0;
  const auto list = [&](const AVFrame& picture, std::int64_t position) {
    const std::int64_t stamp = picture.best_effort_timestamp;
    if (!zero && stamp != AV_NOPTS_VALUE) zero = stamp;
    double time_s = frames.empty() ? 0 : frames.back().time_s + usual_s;
    if (zero && stamp != AV_NOPTS_VALUE) {
      const double stamped_s = seconds(stamp - *zero);
      if (frames.empty() || stamped_s > frames.back().time_s) time_s = stamped_s;
    }
    if (picture.key_frame) restart = position;
    frames.push_back(
        {.position = position, .restart = std::min(restart, position), .time_s = time_s});
  };
  PacketSource packets(path, index, range, limits, deadline);
  for (std::int64_t i = 0; i < static_cast<std::int64_t>(index.packets.size()); ++i) {
    feed(decoder, packets, i, false, list);
  }
  decoder.finish(list);
  if (zero) info.start_time_s = seconds(*zero);
}

/// A file that ends in an error is fine as long as nothing behind the error is wanted.
void VideoDecoder::State::refuse_if_cut_short() const {
  if (index.stopped_by.empty()) return;
  const double read_to_s = frames.empty() ? 0 : frames.back().time_s;
  if (segment.end_s && *segment.end_s <= read_to_s) return;
  throw DataError(FailureReason::kDecodeError,
                  fmt::format("{}: reading stops after {} frames, at {:.3f} s: {}", path,
                              frames.size(), read_to_s, index.stopped_by));
}

double VideoDecoder::State::last_frame_duration_s() const {
  const std::int64_t ticks =
      index.packets[static_cast<std::size_t>(frames.back().position)].duration;
  if (ticks > 0) return seconds(ticks);
  if (frames.size() > 1) {
    return (frames.back().time_s - frames.front().time_s) / static_cast<double>(frames.size() - 1);
  }
  const AVRational rate = input->stream().avg_frame_rate;
  return rate.num > 0 ? 1 / av_q2d(rate) : 0.04;
}

void VideoDecoder::State::select_segment() {
  // Half a tick, so that a time that was rounded to the clock of the file still means its frame.
  const double slack_s = tick_s / 2;
  const double from_s = segment.start_s.value_or(0) - slack_s;
  const double to_s = segment.end_s.value_or(std::numeric_limits<double>::infinity()) - slack_s;
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
  const AVStream& stream = input->stream();
  info.codec = avcodec_get_name(stream.codecpar->codec_id);
  const char* format = av_get_pix_fmt_name(static_cast<AVPixelFormat>(stream.codecpar->format));
  info.pixel_format = format != nullptr ? format : "unknown";
  info.width = stream.codecpar->width;
  info.height = stream.codecpar->height;
  if (orientation.swaps_sides()) std::swap(info.width, info.height);
  info.rotation_degrees = orientation.degrees_clockwise();
  info.stream_index = stream.index;
  info.frame_count = static_cast<std::int64_t>(frames.size());
  info.frame_count_from_header = stream.nb_frames;
  const double first_s = frames.front().time_s;
  info.duration_s = frames.back().time_s - first_s + last_frame_duration_s();
  info.average_fps =
      info.duration_s > 0 ? static_cast<double>(info.frame_count) / info.duration_s : 0;
  const double step_s =
      frames.size() > 1 ? (frames.back().time_s - first_s) / static_cast<double>(frames.size() - 1)
                        : 0;
  for (std::size_t i = 1; i < frames.size(); ++i) {
    const double deviation_s = frames[i].time_s - frames[i - 1].time_s - step_s;
    if (std::abs(deviation_s) > 2 * tick_s) info.is_variable_frame_rate = true;
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
    const ListedFrame& frame = frames[static_cast<std::size_t>(first_wanted + i)];
    targets.push_back({frame.position, frame.restart, i});
  }
  std::ranges::sort(targets, {}, &Target::position);

  FrameConverter converter(orientation, path);
  const auto take_if_wanted = [&](const AVFrame& picture, std::int64_t position) {
    const auto target = std::ranges::lower_bound(targets, position, {}, &Target::position);
    if (target == targets.end() || target->position != position || target->is_taken) return;
    if (picture.pts != index.packets[static_cast<std::size_t>(position)].pts) return;
    target->is_taken = true;
    take(target->index, converter.convert(picture));
  };
  PictureDecoder decoder(input->stream(), path, limits);
  PacketSource packets(path, index, range, limits, deadline);
  const bool can_skip = can_skip_unreferenced(input->stream().codecpar->codec_id);
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
  FrameConverter converter(orientation, path);
  PictureDecoder decoder(input->stream(), path, limits);
  PacketSource packets(path, index, range, limits, deadline);
  std::int64_t count = 0;
  auto next_wanted = wanted.begin();
  const auto take_if_wanted = [&](const AVFrame& picture, std::int64_t) {
    if (next_wanted != wanted.end() && count == first_wanted + *next_wanted) {
      take(*next_wanted, converter.convert(picture));
      ++next_wanted;
    }
    ++count;
  };
  const auto packet_count = static_cast<std::int64_t>(index.packets.size());
  for (std::int64_t i = 0; i < packet_count && next_wanted != wanted.end(); ++i) {
    feed(decoder, packets, i, false, take_if_wanted);
  }
  decoder.finish(take_if_wanted);
  if (next_wanted != wanted.end()) fail_for(*next_wanted, "decoding ends before it");
  for (const std::int64_t i : wanted) {
    const ListedFrame& frame = frames[static_cast<std::size_t>(first_wanted + i)];
    const std::string damage = decoder.damage_between(frame.restart, frame.position);
    if (!damage.empty()) fail_for(i, damage);
  }
}

void check(const DecodeLimits& limits) {
  if (!(limits.time_limit_s > 0)) {
    throw ConfigError(
        fmt::format("the time limit for a clip is {} s; it must be above 0", limits.time_limit_s));
  }
  if (limits.max_pixels < 1 || limits.max_clip_bytes < 1) {
    throw ConfigError(
        fmt::format("limits of {} pixels a frame and {} bytes a clip; both must be "
                    "above 0",
                    limits.max_pixels, limits.max_clip_bytes));
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

VideoDecoder::VideoDecoder(const MediaSegment& segment, const DecodeLimits& limits, FrameList list)
    : state_(std::make_unique<State>(segment, limits, list)) {}
VideoDecoder::~VideoDecoder() = default;
VideoDecoder::VideoDecoder(VideoDecoder&&) noexcept = default;
VideoDecoder& VideoDecoder::operator=(VideoDecoder&&) noexcept = default;

const VideoInfo& VideoDecoder::info() const { return state_->info; }
const std::vector<double>& VideoDecoder::frame_times_s() const { return state_->times_s; }
double VideoDecoder::end_time_s() const { return state_->end_s; }
double VideoDecoder::tick_s() const { return state_->tick_s; }

void VideoDecoder::decode(std::span<const std::int64_t> wanted, const TakeFrame& take) {
  check_wanted(wanted, static_cast<std::int64_t>(state_->times_s.size()));
  if (wanted.empty()) return;
  if (state_->info.is_listed_by_decoding) {
    state_->decode_in_order(wanted, take);
  } else {
    state_->decode_from_packets(wanted, take);
  }
}

VideoInfo probe(const std::string& path, const DecodeLimits& limits) {
  return VideoDecoder({.path = path}, limits).info();
}

}  // namespace cfp
