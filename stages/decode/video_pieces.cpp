#include "stages/decode/video_pieces.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <optional>
#include <string_view>

#include <fmt/format.h>

#include "stages/core/errors.h"
#include "stages/decode/folder_names.h"

namespace cfp {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
/// Names are whole seconds; see Note [Which piece shows a time].
constexpr double kMaxGap_s = 1;
/// More than a year of seconds, or of the usual pieces of 15 s, ….
constexpr std::size_t kMaxPieces = 1'000'000;
constexpr std::size_t kMaxDigits = 9;
constexpr std::array<std::string_view, 10> kExtensions = {"avi", "flv",  "m4v", "mkv", "mov",
                                                          "mp4", "mpeg", "mpg", "ts",  "webm"};

[[noreturn]] void fail(FailureReason reason, const std::string& path, const std::string& why) {
  throw DataError(reason, fmt::format("{}: {}", path, why));
}

bool is_video_extension(std::string_view extension) {
  return std::ranges::any_of(kExtensions, [&](std::string_view known) {
    return std::ranges::equal(known, extension, [](char lower, char c) {
      return lower == c || (c >= 'A' && c <= 'Z' && lower == c - 'A' + 'a');
    });
  });
}

/// @return the second in a piece's name; nothing for other names
std::optional<std::int64_t> second_in(std::string_view name) {
  const std::size_t dot = name.find('.');
  if (dot == std::string_view::npos || dot == 0 || dot > kMaxDigits) return {};
  if (!is_video_extension(name.substr(dot + 1))) return {};
  std::int64_t second = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + dot, second);
  if (error != std::errc() || end != name.data() + dot || name[0] == '-') return {};
  return second;
}

}  // namespace

std::vector<Piece> list_pieces(const std::string& folder, const Deadline& deadline) {
  check_folder(folder);
  std::vector<Piece> pieces;
  for_each_name(folder, [&](std::string_view name) {
    deadline.check(folder);
    const std::optional<std::int64_t> second = second_in(name);
    if (!second) return;
    if (pieces.size() == kMaxPieces) {
      fail(FailureReason::kDecodeError, folder, fmt::format("more than {} pieces", kMaxPieces));
    }
    pieces.push_back({.begin_s = *second, .path = fmt::format("{}/{}", folder, name)});
  });
  if (pieces.empty()) {
    fail(FailureReason::kEmpty, folder, "there is no video named by a second, as 0.mp4");
  }
  std::ranges::sort(pieces, {}, &Piece::begin_s);
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    const bool is_last = i + 1 == pieces.size();
    if (!is_last && pieces[i].begin_s == pieces[i + 1].begin_s) {
      fail(FailureReason::kDuplicate, folder,
           fmt::format("two files begin at {} s: {} and {}", pieces[i].begin_s, pieces[i].path,
                       pieces[i + 1].path));
    }
    pieces[i].until_s = is_last ? kInfinity : static_cast<double>(pieces[i + 1].begin_s);
  }
  return pieces;
}

std::span<const Piece> touched_pieces(const MediaSegment& segment, const std::vector<Piece>& all) {
  const double from_s = segment.start_s.value_or(0);
  const double to_s = segment.end_s.value_or(kInfinity);
  const auto first = std::ranges::upper_bound(all, from_s, {}, &Piece::until_s);
  const auto begins_before_end = [&](const Piece& piece) {
    return static_cast<double>(piece.begin_s) < to_s;
  };
  return {first, std::find_if_not(first, all.end(), begins_before_end)};
}

VideoPieces::VideoPieces(const MediaSegment& segment, const DecodeLimits& limits, FrameList list,
                         OpenVideos* reuse)
    : folder_(segment.path),
      limits_(limits),
      list_(list),
      reuse_(reuse),
      deadline_(limits.time_limit_s) {
  check(limits_);
  const std::vector<Piece> all = list_pieces(folder_, deadline_);
  const auto first_s = static_cast<double>(all.front().begin_s);
  const double from_s = segment.start_s.value_or(first_s);
  const double to_s = segment.end_s.value_or(kInfinity);
  end_s_ = from_s;
  for (const Piece& piece : touched_pieces(segment, all)) {
    refuse_gap(end_s_, static_cast<double>(piece.begin_s));
    add(piece, from_s, to_s);
    if (piece.until_s < kInfinity) refuse_gap(end_s_, std::min(piece.until_s, to_s));
  }
  if (times_s_.empty()) {
    fail(FailureReason::kTooShort, folder_,
         fmt::format("no frame is shown from {} s to {}; the last piece begins at {} s", from_s,
                     segment.end_s ? fmt::format("{} s", to_s) : "the end", all.back().begin_s));
  }
}

void VideoPieces::add(const Piece& piece, double from_s, double to_s) {
  const auto begin_s = static_cast<double>(piece.begin_s);
  Part part{.media = {.path = piece.path, .start_s = std::max(from_s - begin_s, 0.)},
            .first_index = static_cast<std::int64_t>(times_s_.size()),
            .times_s = {}};
  const double until_s = std::min(piece.until_s, to_s);
  if (until_s < kInfinity) part.media.end_s = until_s - begin_s;
  try {
    const VideoDecoder video(part.media, rest_of_limits(), list_, reuse_);
    part.times_s = video.frame_times_s();
    tick_s_ = std::max(tick_s_, video.tick_s());
    end_s_ = begin_s + video.end_time_s();
  } catch (const DataError& error) {
    if (error.reason() != FailureReason::kTooShort) throw;
    return;  // it ends before the segment; whether that is a gap shows with the next piece
  }
  for (const double time_s : part.times_s) times_s_.push_back(begin_s + time_s);
  parts_.push_back(std::move(part));
}

void VideoPieces::refuse_gap(double begin_s, double end_s) const {
  if (end_s - begin_s < kMaxGap_s) return;
  fail(FailureReason::kMissing, folder_,
       fmt::format("no piece shows what is between {:.3f} s and {:.3f} s", begin_s, end_s));
}

DecodeLimits VideoPieces::rest_of_limits() const {
  DecodeLimits rest = limits_;
  rest.time_limit_s = deadline_.rest_s();
  return rest;
}

void VideoPieces::decode(std::span<const std::int64_t> wanted, const TakeFrame& take) {
  check_wanted(wanted, static_cast<std::int64_t>(times_s_.size()));
  std::int64_t height = 0;
  std::int64_t width = 0;
  auto next = wanted.begin();
  for (const Part& part : parts_) {
    const std::int64_t stop = part.first_index + static_cast<std::int64_t>(part.times_s.size());
    std::vector<std::int64_t> here;
    for (; next != wanted.end() && *next < stop; ++next) here.push_back(*next - part.first_index);
    if (here.empty()) continue;
    VideoDecoder video(part.media, rest_of_limits(), list_, reuse_);
    if (video.frame_times_s() != part.times_s) {
      fail(FailureReason::kDecodeError, part.media.path, "the file changed while it was read");
    }
    video.decode(here, [&](std::int64_t index, const Frames& frame) {
      if (width == 0) {
        height = frame.height;
        width = frame.width;
      }
      if (frame.height != height || frame.width != width) {
        fail(FailureReason::kDecodeError, part.media.path,
             fmt::format("frames change from {} x {} to {} x {} pixels", width, height, frame.width,
                         frame.height));
      }
      take(part.first_index + index, frame);
    });
  }
}

}  // namespace cfp
