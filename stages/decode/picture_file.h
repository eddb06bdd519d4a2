// One JPEG or PNG file, read strictly; for the sources of this folder alone.
#pragma once

#include <string>

#include "stages/decode/deadline.h"
#include "stages/decode/ffmpeg.h"
#include "stages/decode/video_decoder.h"

namespace cfp {

/// The bytes of a picture and what its header says. The content says which format it is, the name
/// does not; it is whole, as far as that shows without decoding.
struct PictureFile {
  AVCodecID codec = AV_CODEC_ID_NONE;  ///< AV_CODEC_ID_MJPEG or AV_CODEC_ID_PNG
  int width = 0;                       ///< pixels
  int height = 0;                      ///< pixels
  AvPacketPtr bytes;                   ///< up to the end of the first picture in the file
};

/// Reads a file; symbolic links are followed, pipes and devices refused.
/// @throws DataError `decode_error` no such file, or it is cut off; `unreadable` no permission, no
///                   picture, too large; `empty` no bytes
PictureFile read_picture(const std::string& path, const DecodeLimits& limits);

/// Decodes a picture; a damaged one is refused, not filled up. What its EXIF data say of the
/// orientation is ignored, as by the loaders that networks were trained with.
/// @return a frame of the file's own pixel format
/// @throws DataError `decode_error`
AvFramePtr decode_picture(const PictureFile& file, const std::string& path,
                          const DecodeLimits& limits);

}  // namespace cfp
