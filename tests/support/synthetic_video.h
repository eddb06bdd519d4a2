// Videos whose every pixel is a formula, in all the shapes that real files come in.
//
//   write_media(folder / "vfr.mkv", {{.frames = 10, .pts = {0, 40, 120, …}}});
//   EXPECT_EQ(decoded.rgb_thwc, synthetic_frame(3, 64, 48).rgb_thwc);   // FFV1 is lossless
//   EXPECT_EQ(coded_number(decoded), 3);                                // lossy codecs
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "stages/core/clip.h"

namespace cfp::test {

/// The picture of frame `t`: in the upper quarter two rows of eight black or white fields, the bits
/// of t (lowest left, the upper row first); below, gradients in x, y and t.
/// @return [1, height, width, 3]
Frames synthetic_frame(int t, int width, int height);

/// Reads the number that synthetic_frame() coded, through lossy compression as well.
int coded_number(const Frames& frame);

/// One stream of a synthetic file.
struct SyntheticStream {
  enum class Kind { kVideo, kAudio, kCover };

  Kind kind = Kind::kVideo;
  int width = 64;   ///< pixels
  int height = 48;  ///< pixels
  int frames = 40;
  int first_number = 0;               ///< number of the first frame
  std::string encoder = "ffv1";       ///< FFmpeg's name
  std::string pixel_format = "bgr0";  ///< FFmpeg's name
  std::string options;                ///< of the encoder, `key=value:key=value`
  int gop = 12;                       ///< frames from key frame to key frame
  int b_frames = 0;
  int ticks_per_s = 25;           ///< of the stamps that the muxer is given
  std::vector<std::int64_t> pts;  ///< ticks, ascending, one a frame; empty: 0, 1, 2, …
  int rotation_degrees = 0;       ///< clockwise turn that the metadata ask for
  std::string matrix;             ///< `bt709`, `smpte170m`, …; empty: not said
  std::string range;              ///< `tv`, `pc`; empty: not said
  std::optional<std::array<int, 3>> flat_yuv;  ///< codes of every pixel, in place of the picture
  bool is_default = false;
};

/// @return whether this FFmpeg has an encoder of that name
bool has_encoder(const std::string& name);

/// Writes a file; its extension says which container.
/// @throws std::runtime_error FFmpeg refuses
void write_media(const std::filesystem::path& path, const std::vector<SyntheticStream>& streams);

/// Writes synthetic_frame(0), synthetic_frame(1), … as numbered pictures: PNG where the suffix ends
/// in `png`, else JPEG of full colour resolution.
/// @param frames       number of pictures, from `first_number` on
/// @param first_frame  what the first one shows, in place of synthetic_frame(0)
void write_pictures(const std::filesystem::path& folder, const PictureSequence& sequence,
                    int frames, int width = 64, int height = 48, int first_frame = 0);

/// Keeps only the first `part` (0..1) of a file.
void truncate_file(const std::filesystem::path& path, double part);

/// Puts zeros over `count` bytes from `offset`.
void blank_bytes(const std::filesystem::path& path, std::int64_t offset, std::int64_t count);

}  // namespace cfp::test
