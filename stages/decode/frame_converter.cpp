#include "stages/decode/frame_converter.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include <fmt/format.h>

#include "stages/core/errors.h"

namespace cfp {
namespace {

// Note [swscale flags]
// SWS_BILINEAR        how chroma is brought to the size of luma; PyAV's default, too
// SWS_FULL_CHR_H_INT  chroma for every pixel; without it two neighbours share one
// SWS_ACCURATE_RND    rounds the same in vector and scalar code, so that frames do not depend on
//                     the processor, and odd heights take the same way as even ones
constexpr int kFlags = SWS_BILINEAR | SWS_ACCURATE_RND | SWS_FULL_CHR_H_INT;

/// The `yuvj` formats say "full range" by their name; swscale wants it said apart.
AVPixelFormat without_range(AVPixelFormat format) {
  switch (format) {
    case AV_PIX_FMT_YUVJ411P:
      return AV_PIX_FMT_YUV411P;
    case AV_PIX_FMT_YUVJ420P:
      return AV_PIX_FMT_YUV420P;
    case AV_PIX_FMT_YUVJ422P:
      return AV_PIX_FMT_YUV422P;
    case AV_PIX_FMT_YUVJ440P:
      return AV_PIX_FMT_YUV440P;
    case AV_PIX_FMT_YUVJ444P:
      return AV_PIX_FMT_YUV444P;
    default:
      return format;
  }
}

/// A damaged stream may name a number that is no member of the enumeration, which C++ must not read
/// as one.
template <class Enumeration>
int number_of(const Enumeration& field) {
  static_assert(sizeof(Enumeration) == sizeof(int));
  int number = 0;
  std::memcpy(&number, &field, sizeof(number));
  return number;
}

bool is_full_range(const AVFrame& picture) {
  const auto format = static_cast<AVPixelFormat>(picture.format);
  if (without_range(format) != format || number_of(picture.color_range) == AVCOL_RANGE_JPEG) {
    return true;
  }
  if (number_of(picture.color_range) == AVCOL_RANGE_MPEG) return false;
  // Grey pictures that say nothing come from formats (PNG, raw) without a limited range.
  const AVPixFmtDescriptor* description = av_pix_fmt_desc_get(format);
  return description != nullptr && description->nb_components < 3;
}

int sws_matrix(int space) {
  switch (space) {
    case AVCOL_SPC_BT709:
      return SWS_CS_ITU709;
    case AVCOL_SPC_FCC:
      return SWS_CS_FCC;
    case AVCOL_SPC_SMPTE240M:
      return SWS_CS_SMPTE240M;
    case AVCOL_SPC_BT2020_NCL:
    case AVCOL_SPC_BT2020_CL:
      return SWS_CS_BT2020;
    default:
      return SWS_CS_ITU601;
  }
}

int sign_of(std::int32_t element, std::int32_t largest) {
  // An exact quarter turn leaves zeros; a tenth allows for writers that round sine and cosine.
  if (std::abs(static_cast<double>(element)) < 0.1 * largest) return 0;
  return element > 0 ? 1 : -1;
}

}  // namespace

int Orientation::degrees_clockwise() const {
  if (swaps_sides()) return xy > 0 ? 90 : 270;
  return xx < 0 && yy < 0 ? 180 : 0;
}

Orientation stream_orientation(const AVStream& stream, const std::string& path) {
  std::size_t size = 0;
  const std::uint8_t* data = av_stream_get_side_data(&stream, AV_PKT_DATA_DISPLAYMATRIX, &size);
  if (data == nullptr || size < 9 * sizeof(std::int32_t)) return {};
  std::array<std::int32_t, 9> matrix;
  std::memcpy(matrix.data(), data, sizeof(matrix));
  std::int32_t largest = 0;
  for (const int i : {0, 1, 3, 4}) {
    largest = std::max(largest, std::abs(std::max(matrix[i], -INT32_MAX)));
  }
  const Orientation orientation{.xx = sign_of(matrix[0], largest),
                                .xy = sign_of(matrix[1], largest),
                                .yx = sign_of(matrix[3], largest),
                                .yy = sign_of(matrix[4], largest)};
  const bool is_straight =
      orientation.xx != 0 && orientation.yy != 0 && orientation.xy == 0 && orientation.yx == 0;
  const bool is_quarter =
      orientation.xx == 0 && orientation.yy == 0 && orientation.xy != 0 && orientation.yx != 0;
  if (largest == 0) return {};  // a matrix of zeros shows nothing; readers take it for none
  if (!is_straight && !is_quarter) {
    throw DataError(FailureReason::kDecodeError,
                    fmt::format("{}: the metadata ask for a turn by {:.1f} degrees; only quarter "
                                "turns and mirror images are supported",
                                path, -av_display_rotation_get(matrix.data())));
  }
  return orientation;
}

const Frames& FrameConverter::convert(const AVFrame& picture) {
  prepare(picture);
  const AVFrame* source = &picture;
  int status = 0;
  if (chroma_converter_ != nullptr) {
    status = sws_scale(chroma_converter_.get(), picture.data, picture.linesize, 0, picture.height,
                       full_chroma_->data, full_chroma_->linesize);
    source = full_chroma_.get();
  }
  if (status >= 0) {
    status = sws_scale(converter_.get(), source->data, source->linesize, 0, picture.height,
                       rgb_->data, rgb_->linesize);
  }
  if (status < 0) {
    throw DataError(FailureReason::kDecodeError,
                    fmt::format("{}: swscale cannot convert a picture", path_));
  }
  copy_turned(*rgb_);
  return frame_;
}

/// Interpolates chroma in a step of its own: converting to RGB at once, swscale takes the nearest
/// row of chroma or the mean of two.
/// @return the format that is left to convert
AVPixelFormat FrameConverter::prepare_chroma(const AVFrame& picture) {
  chroma_converter_.reset();
  const AVPixelFormat format = without_range(static_cast<AVPixelFormat>(picture.format));
  const bool is_subsampled = format == AV_PIX_FMT_YUV411P || format == AV_PIX_FMT_YUV420P ||
                             format == AV_PIX_FMT_YUV422P || format == AV_PIX_FMT_YUV440P;
  if (chroma_ == Chroma::kAsVideo || !is_subsampled) return format;
  full_chroma_ = checked_allocation(AvFramePtr(av_frame_alloc()));
  full_chroma_->format = AV_PIX_FMT_YUV444P;
  full_chroma_->width = picture.width;
  full_chroma_->height = picture.height;
  if (av_frame_get_buffer(full_chroma_.get(), 0) < 0) throw std::bad_alloc();
  chroma_converter_ = checked_allocation(SwsContextPtr(
      sws_getContext(picture.width, picture.height, format, picture.width, picture.height,
                     AV_PIX_FMT_YUV444P, kFlags, nullptr, nullptr, nullptr)));
  return AV_PIX_FMT_YUV444P;
}

void FrameConverter::prepare(const AVFrame& picture) {
  const std::array<int, 5> key = {picture.width, picture.height, picture.format,
                                  number_of(picture.colorspace), number_of(picture.color_range)};
  if (converter_ != nullptr && key == prepared_for_) return;
  const auto format = static_cast<AVPixelFormat>(picture.format);
  if (number_of(picture.colorspace) == AVCOL_SPC_YCGCO) {
    throw DataError(FailureReason::kDecodeError,
                    fmt::format("{}: the YCgCo colour matrix is not supported", path_));
  }
  converter_.reset(sws_getContext(picture.width, picture.height, prepare_chroma(picture),
                                  picture.width, picture.height, AV_PIX_FMT_RGB24, kFlags, nullptr,
                                  nullptr, nullptr));
  if (converter_ == nullptr) {
    const char* name = av_get_pix_fmt_name(format);
    throw DataError(FailureReason::kDecodeError,
                    fmt::format("{}: pictures of {} x {} pixels, format {}, cannot be converted "
                                "to RGB",
                                path_, picture.width, picture.height, name ? name : "unknown"));
  }
  // For RGB sources there is no matrix to set, and the call says so; nothing has to be done then.
  sws_setColorspaceDetails(converter_.get(),
                           sws_getCoefficients(sws_matrix(number_of(picture.colorspace))),
                           is_full_range(picture), sws_getCoefficients(SWS_CS_DEFAULT),
                           /*full range out*/ 1, /*brightness*/ 0, /*contrast*/ 1 << 16,
                           /*saturation*/ 1 << 16);
  rgb_ = checked_allocation(AvFramePtr(av_frame_alloc()));
  rgb_->format = AV_PIX_FMT_RGB24;
  rgb_->width = picture.width;
  rgb_->height = picture.height;
  if (av_frame_get_buffer(rgb_.get(), 0) < 0) throw std::bad_alloc();
  prepared_for_ = key;
}

void FrameConverter::copy_turned(const AVFrame& rgb) {
  const std::int64_t width = rgb.width;
  const std::int64_t height = rgb.height;
  frame_.length = 1;
  frame_.width = orientation_.swaps_sides() ? height : width;
  frame_.height = orientation_.swaps_sides() ? width : height;
  frame_.rgb_thwc.resize(static_cast<std::size_t>(width * height * 3));
  if (orientation_ == Orientation{}) {
    av_image_copy_plane(frame_.rgb_thwc.data(), static_cast<int>(3 * width), rgb.data[0],
                        rgb.linesize[0], static_cast<int>(3 * width), rgb.height);
    return;
  }
  // Where a source row or column counts backwards, it starts at the far side.
  const std::int64_t x_start = (orientation_.xx < 0 || orientation_.yx < 0) ? frame_.width - 1 : 0;
  const std::int64_t y_start = (orientation_.yy < 0 || orientation_.xy < 0) ? frame_.height - 1 : 0;
  for (std::int64_t y = 0; y < height; ++y) {
    const std::uint8_t* source = rgb.data[0] + y * rgb.linesize[0];
    for (std::int64_t x = 0; x < width; ++x, source += 3) {
      const std::int64_t to_x = x_start + orientation_.xx * x + orientation_.yx * y;
      const std::int64_t to_y = y_start + orientation_.xy * x + orientation_.yy * y;
      std::memcpy(frame_.rgb_thwc.data() + (to_y * frame_.width + to_x) * 3, source, 3);
    }
  }
}

}  // namespace cfp
