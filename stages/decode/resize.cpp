#include "stages/decode/resize.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include <ATen/core/Tensor.h>
#include <ATen/ops/_upsample_bilinear2d_aa.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/upsample_bilinear2d.h>
#include <c10/core/InferenceMode.h>
#include <fmt/format.h>

#include "stages/core/errors.h"

namespace cfp {
namespace {

constexpr int kMaxSide_px = 16384;

Frames resized(const Frames& frames, FrameSize size, Interpolation interpolation) {
  if (size == FrameSize{frames.height, frames.width}) return frames;
  const c10::InferenceMode no_autograd;
  // A view: channels stay last in memory, which is the layout that LibTorch resizes 8-bit in,
  // with Pillow's arithmetic.
  const at::Tensor input_nchw =
      at::from_blob(const_cast<std::uint8_t*>(frames.rgb_thwc.data()),
                    {frames.length, frames.height, frames.width, 3}, at::kByte)
          .permute({0, 3, 1, 2});
  const std::array<std::int64_t, 2> side = {size.height, size.width};
  const at::Tensor output_nchw =
      interpolation == Interpolation::kBilinearAntialias
          ? at::_upsample_bilinear2d_aa(input_nchw, side, /*align_corners=*/false)
          : at::upsample_bilinear2d(input_nchw, side, /*align_corners=*/false);
  const at::Tensor output_nhwc = output_nchw.permute({0, 2, 3, 1}).contiguous();
  const std::uint8_t* data = output_nhwc.const_data_ptr<std::uint8_t>();
  return {.length = frames.length,
          .height = size.height,
          .width = size.width,
          .rgb_thwc = {data, data + output_nhwc.numel()}};
}

Frames cropped(const Frames& frames, std::int64_t crop, std::int64_t top, std::int64_t left) {
  Frames result{.length = frames.length, .height = crop, .width = crop, .rgb_thwc = {}};
  result.rgb_thwc.resize(static_cast<std::size_t>(frames.length * crop * crop * 3));
  for (std::int64_t t = 0; t < frames.length; ++t) {
    for (std::int64_t y = 0; y < crop; ++y) {
      std::memcpy(result.frame(t) + y * crop * 3,
                  frames.frame(t) + ((top + y) * frames.width + left) * 3, crop * 3);
    }
  }
  return result;
}

Frames middle_crop(Frames frames, std::int64_t crop) {
  if (crop == frames.height && crop == frames.width) return frames;
  return cropped(frames, crop,
                 static_cast<std::int64_t>(std::nearbyint((frames.height - crop) / 2.)),
                 static_cast<std::int64_t>(std::nearbyint((frames.width - crop) / 2.)));
}

std::vector<Frames> three_crops(const Frames& frames, std::int64_t crop) {
  const std::int64_t below = frames.height - crop;
  const std::int64_t beside = frames.width - crop;
  const std::int64_t top = (below + 1) / 2;
  const std::int64_t left = (beside + 1) / 2;
  if (frames.height > frames.width) {
    return {cropped(frames, crop, 0, left), cropped(frames, crop, top, left),
            cropped(frames, crop, below, left)};
  }
  return {cropped(frames, crop, top, 0), cropped(frames, crop, top, left),
          cropped(frames, crop, top, beside)};
}

}  // namespace

void check(const PreprocessOptions& options) {
  if (options.resize_mode != ResizeMode::kNone &&
      (options.resize < 1 || options.resize > kMaxSide_px)) {
    throw ConfigError(fmt::format("preprocess.resize is {}; it must be 1 to {} pixels",
                                  options.resize, kMaxSide_px));
  }
  if (options.crop < 0 || options.crop > kMaxSide_px) {
    throw ConfigError(fmt::format("preprocess.crop is {}; it must be 0 (none) to {} pixels",
                                  options.crop, kMaxSide_px));
  }
  if (options.resize_mode != ResizeMode::kNone && options.crop > options.resize) {
    throw ConfigError(
        fmt::format("preprocess.crop is {} pixels, more than the {} that preprocess.resize leaves",
                    options.crop, options.resize));
  }
}

FrameSize resized_size(FrameSize size, const PreprocessOptions& options) {
  const std::int64_t wanted = options.resize;
  switch (options.resize_mode) {
    case ResizeMode::kNone:
      return size;
    case ResizeMode::kExact:
      return {wanted, wanted};
    case ResizeMode::kShortSide:
      if (size.width < size.height) return {wanted * size.height / size.width, wanted};
      return {wanted, wanted * size.width / size.height};
  }
  throw std::logic_error("ResizeMode out of range");
}

Frames preprocess_frames(const Frames& frames, const PreprocessOptions& options) {
  return std::move(preprocess_crops(frames, options, 1)[0]);
}

std::vector<Frames> preprocess_crops(const Frames& frames, const PreprocessOptions& options,
                                     int crops) {
  if (crops != 1 && (crops != 3 || options.crop == 0)) {
    throw std::logic_error(fmt::format("{} crops of {} pixels", crops, options.crop));
  }
  const FrameSize size = resized_size({frames.height, frames.width}, options);
  if (std::max(size.height, size.width) > kMaxSide_px) {
    throw DataError(FailureReason::kTooSmall,
                    fmt::format("frames of {} x {} pixels would be resized to {} x {}; a side has "
                                "at most {}",
                                frames.width, frames.height, size.width, size.height, kMaxSide_px));
  }
  if (options.crop > std::min(size.height, size.width)) {
    throw DataError(FailureReason::kTooSmall,
                    fmt::format("frames of {} x {} pixels are smaller than the crop of {}",
                                size.width, size.height, options.crop));
  }
  Frames result = resized(frames, size, options.interpolation);
  if (crops == 3) return three_crops(result, options.crop);
  std::vector<Frames> one;
  one.push_back(options.crop == 0 ? std::move(result)
                                  : middle_crop(std::move(result), options.crop));
  return one;
}

}  // namespace cfp
