// Frames out of a folder of videos that are pieces of a long one; see FrameSource.
//
// Note [Which piece shows a time]
// Pieces are named by the second at which they begin: 0.MP4, 15.MP4, …. A frame's time is that
// second plus its time in the piece, which counts from the piece's first frame. From its second on,
// up to that of the next piece, a piece alone says what is shown: frames that it has beyond are
// left out, so that those that two pieces have are taken once, from the later piece. Around a
// border frames may be absent for less than a second, since names are whole seconds; more is a
// missing piece. Where the last piece ends, the video ends.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "stages/core/clip.h"
#include "stages/decode/deadline.h"
#include "stages/decode/video_decoder.h"

namespace cfp {

/// A file of a folder of pieces.
struct Piece {
  std::int64_t begin_s = 0;  ///< seconds after the beginning of the whole video
  double until_s = 0;        ///< when the next piece takes over; infinite for the last one
  std::string path;
};

/// Lists the pieces in a folder: `<digits>.<extension of a video>`, in either case.
/// @return at least one, sorted by their beginnings
/// @throws DataError `missing` no such folder; `unreadable` no permission, no folder; `empty` no
///                   piece; `duplicate` two files for one second; `decode_error` absurdly many;
///                   `timeout`
std::vector<Piece> list_pieces(const std::string& folder, const Deadline& deadline);

/// @return those of `all` that have a part of the segment, in order; none where it is behind them
std::span<const Piece> touched_pieces(const MediaSegment& segment, const std::vector<Piece>& all);

/// One segment of a video in pieces. Not to be shared between threads.
class VideoPieces {
 public:
  /// Lists the frames of the pieces that the segment touches.
  ///
  /// @param segment  with `in_pieces`; times count from the beginning of the whole video
  /// @param list     how frames are listed in each piece
  /// @param reuse    where pieces stay open until they are decoded; null: they are opened twice
  /// @throws DataError as list_pieces() and, naming the piece, as VideoDecoder; `missing` a piece
  ///                   within the segment; `too_short` no frame in the segment
  VideoPieces(const MediaSegment& segment, const DecodeLimits& limits, FrameList list,
              OpenVideos* reuse);

  const std::vector<double>& frame_times_s() const { return times_s_; }
  double end_time_s() const { return end_s_; }
  double tick_s() const { return tick_s_; }

  /// Decodes frames; see VideoDecoder::decode.
  /// @throws DataError naming the piece
  void decode(std::span<const std::int64_t> wanted, const TakeFrame& take);

 private:
  /// What a piece adds to the segment.
  struct Part {
    MediaSegment media;            ///< the piece, with times in it
    std::int64_t first_index = 0;  ///< of its first frame, in the segment
    std::vector<double> times_s;   ///< in the piece
  };

  void add(const Piece& piece, double from_s, double to_s);
  void refuse_gap(double begin_s, double end_s) const;
  DecodeLimits rest_of_limits() const;

  std::string folder_;
  DecodeLimits limits_;
  FrameList list_;
  OpenVideos* reuse_;
  Deadline deadline_;
  std::vector<Part> parts_;
  std::vector<double> times_s_;
  double end_s_ = 0;  ///< up to here the pieces so far say what is shown
  double tick_s_ = 0;
};

}  // namespace cfp
