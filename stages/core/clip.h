// What travels from a data set to the network: a request for frames, and the frames.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "stages/core/errors.h"

namespace cfp {

/// A media file, or the part of it between two times.
struct MediaSegment {
  std::string path;               ///< video file; never handed to a shell, never read as a URL
  std::optional<double> start_s;  ///< first time that belongs to the clip; absent: the beginning
  std::optional<double> end_s;    ///< first time that no longer belongs; absent: the end

  bool operator==(const MediaSegment&) const = default;
};

/// One row of a manifest: what to decode and what it shows.
struct ClipRequest {
  std::int64_t row = 0;  ///< position in the manifest, from 0
  std::string clip_id;   ///< unique in the manifest
  MediaSegment media;
  std::optional<int> label;  ///< class index in the data set's order; absent: unlabelled

  bool operator==(const ClipRequest&) const = default;
};

/// RGB frames of one size, 8 bits a channel.
struct Frames {
  std::int64_t length = 0;             ///< T, frames
  std::int64_t height = 0;             ///< H, pixels
  std::int64_t width = 0;              ///< W, pixels
  std::vector<std::uint8_t> rgb_thwc;  ///< [T, H, W, 3], 0..255

  std::int64_t bytes_per_frame() const { return height * width * 3; }
  const std::uint8_t* frame(std::int64_t t) const {
    return rgb_thwc.data() + t * bytes_per_frame();
  }
  std::uint8_t* frame(std::int64_t t) { return rgb_thwc.data() + t * bytes_per_frame(); }
};

/// A decoded clip: frames resized and cropped to what the network takes, not yet normalised.
struct Clip {
  ClipRequest request;
  int view = 0;                       ///< 0..num_clips-1
  Frames frames;                      ///< [clip_len, crop, crop, 3]
  std::vector<double> frame_times_s;  ///< [clip_len] presentation time of each frame in the file
  double decode_s = 0;                ///< seconds spent decoding and resizing
};

/// A clip that could not be explained, and why.
struct Failure {
  std::int64_t row = 0;
  std::string clip_id;
  std::string path;
  std::string stage;  ///< `decode`, `network`, `pyramid`
  FailureReason reason = FailureReason::kDecodeError;
  std::string message;
};

}  // namespace cfp
