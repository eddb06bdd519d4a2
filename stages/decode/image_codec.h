// Pictures as files in memory, for the HTML report.
//
//   const std::vector<std::uint8_t> jpeg = encode_jpeg(frames.frame(0), 224, 224);
#pragma once

#include <cstdint>
#include <vector>

namespace cfp {

/// Encodes a picture as JPEG (4:4:4, so that coloured overlays keep their edges).
///
/// @param rgb      [height, width, 3], 0..255
/// @param width    pixels, 1..16384
/// @param height   pixels, 1..16384
/// @param quality  FFmpeg's scale: 2 (best) to 31
/// @return         the bytes of a JPEG file
/// @throws ConfigError an argument is out of its range
/// @throws SystemError FFmpeg has no such encoder, or it failed
std::vector<std::uint8_t> encode_jpeg(const std::uint8_t* rgb, int width, int height,
                                      int quality = 3);

/// Encodes a picture as PNG, without loss.
///
/// @param rgb      [height, width, 3], 0..255
/// @param width    pixels, 1..16384
/// @param height   pixels, 1..16384
/// @return         the bytes of a PNG file
/// @throws ConfigError an argument is out of its range
/// @throws SystemError FFmpeg has no such encoder, or it failed
std::vector<std::uint8_t> encode_png(const std::uint8_t* rgb, int width, int height);

}  // namespace cfp
