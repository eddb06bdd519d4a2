#include "stages/decode/image_codec.h"

#include <fmt/format.h>

#include "stages/core/errors.h"
#include "stages/decode/ffmpeg.h"

namespace cfp {
namespace {

void require(int status, const char* what) {
  if (status < 0) {
    throw SystemError(fmt::format("encoding a picture: {}: {}", what, failure_text(status)));
  }
}

void check_size(int width, int height) {
  if (width < 1 || height < 1 || width > kMaxSide_px || height > kMaxSide_px) {
    throw ConfigError(
        fmt::format("a picture of {} x {} pixels cannot be encoded; sides are 1 to {}", width,
                    height, kMaxSide_px));
  }
}

AvCodecContextPtr open_encoder(AVCodecID id, AVPixelFormat format, int width, int height,
                               int quality) {
  const AVCodec* codec = avcodec_find_encoder(id);
  if (codec == nullptr) {
    throw SystemError(fmt::format("this FFmpeg has no encoder for {}", avcodec_get_name(id)));
  }
  AvCodecContextPtr encoder = checked_allocation(AvCodecContextPtr(avcodec_alloc_context3(codec)));
  encoder->width = width;
  encoder->height = height;
  encoder->pix_fmt = format;
  encoder->color_range = AVCOL_RANGE_JPEG;
  encoder->time_base = {1, 1};
  encoder->thread_count = 1;
  encoder->flags |= AV_CODEC_FLAG_BITEXACT;
  if (quality > 0) {
    encoder->flags |= AV_CODEC_FLAG_QSCALE;
    encoder->global_quality = FF_QP2LAMBDA * quality;
  }
  require(avcodec_open2(encoder.get(), codec, nullptr), "the encoder refuses these options");
  return encoder;
}

AvFramePtr converted(const std::uint8_t* rgb, const AVCodecContext& encoder) {
  AvFramePtr frame = checked_allocation(AvFramePtr(av_frame_alloc()));
  frame->format = encoder.pix_fmt;
  frame->width = encoder.width;
  frame->height = encoder.height;
  frame->color_range = encoder.color_range;
  frame->pts = 0;
  frame->quality = encoder.global_quality;  // mjpeg reads the quality of the frame
  require(av_frame_get_buffer(frame.get(), 0), "cannot allocate a frame");
  const AvFramePtr source = rgb_frame(rgb, encoder.width, encoder.height);
  const SwsContextPtr converter(
      sws_getContext(encoder.width, encoder.height, AV_PIX_FMT_RGB24, encoder.width, encoder.height,
                     encoder.pix_fmt, SWS_BILINEAR | SWS_ACCURATE_RND, nullptr, nullptr, nullptr));
  if (converter == nullptr) throw SystemError("FFmpeg cannot convert RGB for a picture");
  const int* bt601 = sws_getCoefficients(SWS_CS_ITU601);  // what the JPEG standard asks for
  // RGB output cannot take colour details; then there is no matrix to set, and -1 comes back.
  sws_setColorspaceDetails(converter.get(), bt601, 1, bt601, 1, 0, 1 << 16, 1 << 16);
  require(sws_scale(converter.get(), source->data, source->linesize, 0, encoder.height, frame->data,
                    frame->linesize),
          "cannot convert the picture");
  return frame;
}

std::vector<std::uint8_t> encode(AVCodecID id, AVPixelFormat format, const std::uint8_t* rgb,
                                 int width, int height, int quality) {
  check_size(width, height);
  capture_ffmpeg_log();
  const AvCodecContextPtr encoder = open_encoder(id, format, width, height, quality);
  const AvFramePtr frame = converted(rgb, *encoder);
  const AvPacketPtr packet = checked_allocation(AvPacketPtr(av_packet_alloc()));
  require(avcodec_send_frame(encoder.get(), frame.get()), "the encoder refuses the picture");
  require(avcodec_receive_packet(encoder.get(), packet.get()), "the encoder failed");
  return {packet->data, packet->data + packet->size};
}

}  // namespace

std::vector<std::uint8_t> encode_jpeg(const std::uint8_t* rgb, int width, int height, int quality) {
  if (quality < 2 || quality > 31) {
    throw ConfigError(fmt::format("JPEG quality is {}; it must be 2 to 31", quality));
  }
  return encode(AV_CODEC_ID_MJPEG, AV_PIX_FMT_YUVJ444P, rgb, width, height, quality);
}

std::vector<std::uint8_t> encode_png(const std::uint8_t* rgb, int width, int height) {
  return encode(AV_CODEC_ID_PNG, AV_PIX_FMT_RGB24, rgb, width, height, 0);
}

}  // namespace cfp
