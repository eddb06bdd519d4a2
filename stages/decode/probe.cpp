#include "stages/decode/probe.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include <fmt/format.h>

#include "stages/core/errors.h"
#include "stages/decode/frame_converter.h"
#include "stages/decode/frame_source.h"
#include "stages/decode/media_input.h"
#include "stages/decode/picture_file.h"
#include "stages/decode/video_pieces.h"

namespace cfp {
namespace {

std::optional<double> duration_s(const MediaInput& input) {
  const AVStream& stream = input.stream();
  if (stream.duration > 0) return static_cast<double>(stream.duration) * av_q2d(stream.time_base);
  const std::int64_t whole = input.format().duration;
  if (whole > 0) return static_cast<double>(whole) / AV_TIME_BASE;
  return {};
}

std::optional<double> frame_rate(const AVStream& stream, std::optional<double> duration_s) {
  if (stream.avg_frame_rate.num > 0 && stream.avg_frame_rate.den > 0) {
    return av_q2d(stream.avg_frame_rate);
  }
  if (stream.nb_frames > 0 && duration_s) {
    return static_cast<double>(stream.nb_frames) / *duration_s;
  }
  if (stream.r_frame_rate.num > 0 && stream.r_frame_rate.den > 0) {
    return av_q2d(stream.r_frame_rate);
  }
  return {};
}

/// A file whose header lists packets behind its end is cut off.
void refuse_if_cut_off(MediaInput& input, const std::string& path) {
  AVStream* stream = input.format().streams[input.stream().index];
  const int entries = avformat_index_get_entries_count(stream);
  if (entries == 0) return;
  const AVIndexEntry* last = avformat_index_get_entry(stream, entries - 1);
  if (last->pos + last->size > input.file_bytes()) {
    throw DataError(FailureReason::kDecodeError,
                    fmt::format("{}: the file is cut off: it has {} bytes, its header says that "
                                "the last packet ends at {}",
                                path, input.file_bytes(), last->pos + last->size));
  }
}

HeaderFacts video_header(const MediaSegment& segment, const DecodeLimits& limits) {
  const std::string& path = segment.path;
  MediaInput input(path, limits, Deadline(limits.time_limit_s), Analysis::kHeader);
  const AVStream& stream = input.stream();
  const AVCodecID codec = stream.codecpar->codec_id;
  if (avcodec_find_decoder(codec) == nullptr) {
    throw DataError(FailureReason::kUnreadable, fmt::format("{}: this FFmpeg has no decoder for {}",
                                                            path, avcodec_get_name(codec)));
  }
  // A segment with an end can be whole in a file that is not.
  if (!segment.end_s) refuse_if_cut_off(input, path);
  const AvPacketPtr packet = checked_allocation(AvPacketPtr(av_packet_alloc()));
  capture_ffmpeg_log();
  const int status = input.read(*packet);
  if (status < 0) {
    const bool is_empty = status == AVERROR_EOF && first_complaint().empty();
    throw DataError(
        is_empty ? FailureReason::kEmpty : FailureReason::kDecodeError,
        fmt::format("{}: the video stream has no packet: {}", path, failure_text(status)));
  }
  HeaderFacts facts{.container = input.format().iformat->name,
                    .codec = avcodec_get_name(codec),
                    .width = stream.codecpar->width,
                    .height = stream.codecpar->height,
                    .duration_from_header_s = duration_s(input),
                    .frame_rate_from_header = {},
                    .frame_count_from_header = {}};
  if (stream_orientation(stream, path).swaps_sides()) std::swap(facts.width, facts.height);
  facts.frame_rate_from_header = frame_rate(stream, facts.duration_from_header_s);
  if (stream.nb_frames > 0) facts.frame_count_from_header = stream.nb_frames;
  return facts;
}

/// The facts of the whole video: its end is that of the last piece.
HeaderFacts pieces_header(const MediaSegment& segment, const DecodeLimits& limits) {
  const Deadline deadline(limits.time_limit_s);
  const std::vector<Piece> all = list_pieces(segment.path, deadline);
  const std::span<const Piece> touched = touched_pieces(segment, all);
  const auto header_of = [&](const Piece& piece) {
    DecodeLimits rest = limits;
    rest.time_limit_s = deadline.rest_s();
    MediaSegment media{.path = piece.path};
    if (segment.end_s && *segment.end_s < piece.until_s) media.end_s = segment.end_s;
    return video_header(media, rest);
  };
  const HeaderFacts last = header_of(all.back());
  HeaderFacts facts = touched.empty() ? last : header_of(touched.front());
  for (const Piece& piece : touched.subspan(std::min<std::size_t>(touched.size(), 1))) {
    const HeaderFacts next = header_of(piece);
    if (next.width != facts.width || next.height != facts.height) {
      throw DataError(FailureReason::kDecodeError,
                      fmt::format("{}: frames are {} x {} pixels, in the piece before {} x {}",
                                  piece.path, next.width, next.height, facts.width, facts.height));
    }
  }
  facts.duration_from_header_s = last.duration_from_header_s;
  if (last.duration_from_header_s) {
    facts.duration_from_header_s =
        static_cast<double>(all.back().begin_s) + *last.duration_from_header_s;
  }
  facts.frame_count_from_header.reset();
  return facts;
}

HeaderFacts picture_header(const MediaSegment& segment, const DecodeLimits& limits) {
  const PictureFolder folder(segment, limits);
  const PictureFile first = read_picture(folder.picture_path(0), limits);
  const double fps = segment.pictures->fps;
  const auto count = static_cast<std::int64_t>(folder.frame_times_s().size());
  return {.container = "pictures",
          .codec = avcodec_get_name(first.codec),
          .width = first.width,
          .height = first.height,
          .duration_from_header_s = static_cast<double>(count) / fps,
          .frame_rate_from_header = fps,
          .frame_count_from_header = count};
}

/// Decodes what a source has, counting.
DecodedFacts decode_all(const MediaSegment& segment, const DecodeLimits& limits, FrameList list) {
  FrameSource source(segment, limits, list);
  const std::vector<double>& times_s = source.frame_times_s();
  DecodedFacts facts{.frame_count = static_cast<std::int64_t>(times_s.size()),
                     .first_time_s = times_s.front(),
                     .end_time_s = source.end_time_s()};
  std::vector<std::int64_t> all(times_s.size());
  std::iota(all.begin(), all.end(), 0);
  source.decode(all, [&](std::int64_t, const Frames& frame) {
    if (facts.width == 0) {
      facts.width = static_cast<int>(frame.width);
      facts.height = static_cast<int>(frame.height);
    }
    if (frame.width != facts.width || frame.height != facts.height) {
      throw DataError(FailureReason::kDecodeError,
                      fmt::format("{}: frames change from {} x {} to {} x {} pixels", segment.path,
                                  facts.width, facts.height, frame.width, frame.height));
    }
  });
  const double duration_s = facts.end_time_s - facts.first_time_s;
  if (duration_s > 0) facts.average_fps = static_cast<double>(facts.frame_count) / duration_s;
  const double step_s = times_s.size() > 1 ? (times_s.back() - times_s.front()) /
                                                 static_cast<double>(times_s.size() - 1)
                                           : 0;
  for (std::size_t i = 1; i < times_s.size(); ++i) {
    const double deviation_s = times_s[i] - times_s[i - 1] - step_s;
    if (std::abs(deviation_s) > 2 * source.tick_s()) facts.is_variable_frame_rate = true;
  }
  return facts;
}

}  // namespace

HeaderFacts probe_header(const MediaSegment& segment, const DecodeLimits& limits) {
  check(limits);
  if (segment.pictures) return picture_header(segment, limits);
  return segment.in_pieces ? pieces_header(segment, limits) : video_header(segment, limits);
}

DecodedFacts decode_everything(const MediaSegment& segment, const DecodeLimits& limits) {
  try {
    return decode_all(segment, limits, FrameList::kFromPackets);
  } catch (const FrameListError&) {
    return decode_all(segment, limits, FrameList::kFromDecoding);
  }
}

}  // namespace cfp
