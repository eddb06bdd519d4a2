// From a decoder's picture to RGB the right way up; for the sources of this folder alone.
#pragma once

#include <array>

#include "stages/core/clip.h"
#include "stages/decode/ffmpeg.h"

namespace cfp {

/// How a picture has to be turned to be seen as meant: a quarter turn, a mirror image, or both.
///
/// A source pixel at (x, y) from the middle is shown at (xx * x + yx * y, xy * x + yy * y).
struct Orientation {
  int xx = 1, xy = 0, yx = 0, yy = 1;  ///< 0, 1 or -1

  bool swaps_sides() const { return xx == 0; }
  /// @return the clockwise turn: 0, 90, 180 or 270; of a mirror image, the turn that comes with it
  int degrees_clockwise() const;

  bool operator==(const Orientation&) const = default;
};

/// @return the orientation that a stream's display matrix asks for
/// @throws DataError `decode_error` the matrix is no quarter turn
Orientation stream_orientation(const AVStream& stream, const std::string& path);

/// How colours of fewer samples than brightness are brought to its size.
enum class Chroma {
  kAsVideo,    ///< as swscale converts to RGB, which loaders of videos use: neighbouring rows share
  kAsLibjpeg,  ///< interpolated both ways, as libjpeg does, which loaders of pictures use
};

/// Converts pictures to RGB of full range, 8 bits a channel.
///
/// The matrix is the one that the picture names; a picture that names none is taken for BT.601 and
/// limited range (`yuvj` formats: full range), which is also what PyAV, Decord and OpenCV take, and
/// so what networks were trained with, whatever the size of the picture.
class FrameConverter {
 public:
  FrameConverter(Orientation orientation, std::string path, Chroma chroma = Chroma::kAsVideo)
      : orientation_(orientation), path_(std::move(path)), chroma_(chroma) {}

  /// @return [1, H, W, 3]; valid until the next call
  /// @throws DataError `decode_error` swscale cannot convert the format
  const Frames& convert(const AVFrame& picture);

 private:
  void prepare(const AVFrame& picture);
  AVPixelFormat prepare_chroma(const AVFrame& picture);
  void copy_turned(const AVFrame& rgb);

  Orientation orientation_;
  std::string path_;
  Chroma chroma_;
  SwsContextPtr chroma_converter_;  ///< null where there is nothing to interpolate
  AvFramePtr full_chroma_;
  SwsContextPtr converter_;
  std::array<int, 5> prepared_for_{};  ///< width, height, format, matrix, range
  AvFramePtr rgb_;
  Frames frame_;
};

}  // namespace cfp
