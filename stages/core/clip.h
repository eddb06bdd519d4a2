// What travels from a data set to the network: a request for frames, and the frames.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "stages/core/errors.h"

namespace cfp {

/// Numbered pictures in a folder, one a frame: `frame_0000000017.jpg`.
struct PictureSequence {
  std::string prefix;             ///< of the file names, before the number
  int digits = 0;                 ///< the number is filled up with zeros to so many; 0: not filled
  std::string suffix;             ///< behind the number: `.jpg`
  std::int64_t first_number = 1;  ///< of the picture at time 0
  double fps = 25;                ///< picture n is at (n - first_number) / fps seconds
  std::optional<std::int64_t> start_number;  ///< of the clip's first picture; absent: first_number
  std::optional<std::int64_t> stop_number;   ///< one behind its last; absent: all that there are

  bool operator==(const PictureSequence&) const = default;
};

/// @return the name of a picture of the sequence: `frame_0000000017.jpg`
std::string picture_file_name(const PictureSequence& pictures, std::int64_t number);

/// Where a clip's frames are: a video file, pieces of one, or pictures, and which part of them.
struct MediaSegment {
  std::string path;               ///< file or folder; never handed to a shell, never read as a URL
  std::optional<double> start_s;  ///< first time that belongs to the clip; absent: the beginning
  std::optional<double> end_s;    ///< first time that no longer belongs; absent: the end
  std::optional<PictureSequence> pictures;  ///< `path` is a folder of pictures; their numbers say
                                            ///< which belong, start_s and end_s do not
  bool in_pieces = false;  ///< `path` is a folder of videos that are named by the second at which
                           ///< each begins: 0.MP4, 15.MP4, …

  bool operator==(const MediaSegment&) const = default;
};

/// What is wrong with a clip before it is opened.
struct ClipProblem {
  FailureReason reason = FailureReason::kMissing;
  std::string message;

  bool operator==(const ClipProblem&) const = default;
};

/// One row of a manifest: what to decode and what it shows.
struct ClipRequest {
  std::int64_t row = 0;  ///< position in the manifest, from 0
  std::string clip_id;   ///< unique in the manifest
  MediaSegment media;
  std::optional<int> label;            ///< class index in the data set's order; absent: unlabelled
  std::optional<ClipProblem> problem;  ///< known beforehand: decoding it fails with this

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
  int view = 0;                       ///< clip * crops + crop, see view_count()
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
