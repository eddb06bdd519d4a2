// What a row's media are, found out quickly or surely; for `cfp check`.
//
//   const HeaderFacts header = probe_header(row.media);    // microseconds: what the file claims
//   const DecodedFacts facts = decode_everything(row.media);  // seconds: what is true
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "stages/core/clip.h"
#include "stages/decode/video_decoder.h"

namespace cfp {

/// What the header of a video says of the whole video; of pictures, what the first one of the
/// segment says, and the number of them. Headers may be wrong.
struct HeaderFacts {
  std::string container;                         ///< FFmpeg's name: `mov,mp4,…`; `pictures`
  std::string codec;                             ///< FFmpeg's name: `h264`
  int width = 0;                                 ///< pixels, after rotation
  int height = 0;                                ///< pixels, after rotation
  std::optional<double> duration_from_header_s;  ///< absent: not said
  std::optional<double> frame_rate_from_header;  ///< frames a second; absent: not said
  std::optional<std::int64_t> frame_count_from_header;  ///< absent: not said

  bool operator==(const HeaderFacts&) const = default;
};

/// Opens a file, reads its header and looks for the first packet of the video.
///
/// Takes no longer for a long file than its header is longer; containers without a header (MPEG
/// streams) are told by their first packets. Of a folder of pieces those that the segment touches
/// are opened, and the last one; of pictures the first one is read and not decoded.
/// @param segment  its times are not compared with the duration
/// @throws DataError `missing`, `unreadable`, `empty`, `no_video_stream`, `timeout`; `decode_error`
///                   the file is cut off, as far as its header shows; for pictures and pieces as
///                   FrameSource
HeaderFacts probe_header(const MediaSegment& segment, const DecodeLimits& limits = {});

/// What decoding every frame of a segment gave.
struct DecodedFacts {
  std::int64_t frame_count = 0;
  double first_time_s = 0;  ///< of the segment's first frame, after the video's first frame
  double end_time_s = 0;    ///< when its last frame stops being shown
  int width = 0;            ///< pixels, after rotation
  int height = 0;           ///< pixels, after rotation
  double average_fps = 0;   ///< frame_count over the time
  bool is_variable_frame_rate = false;  ///< frames are not evenly spaced

  bool operator==(const DecodedFacts&) const = default;
};

/// Decodes all frames of a segment.
/// @throws DataError as ClipDecoder, and `decode_error` where any frame is damaged
DecodedFacts decode_everything(const MediaSegment& segment, const DecodeLimits& limits = {});

}  // namespace cfp
