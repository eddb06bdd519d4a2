#include "tests/support/synthetic_video.h"

#include <algorithm>
#include <fstream>
#include <stdexcept>

#include "stages/decode/ffmpeg.h"
#include "stages/decode/image_codec.h"

namespace cfp::test {
namespace fs = std::filesystem;
namespace {

constexpr int kBitsPerRow = 8;
constexpr int kRows = 2;

void require(int status, const char* what) {
  if (status < 0) throw std::runtime_error(std::string(what) + ": " + failure_text(status));
}

void close_output(AVFormatContext* output) {
  avio_closep(&output->pb);
  avformat_free_context(output);
}
using AvOutputPtr = CPtr<AVFormatContext, close_output>;

void fill_flat(AVFrame* frame, const std::array<int, 3>& codes) {
  const AVPixFmtDescriptor* format = av_pix_fmt_desc_get(static_cast<AVPixelFormat>(frame->format));
  for (int plane = 0; plane < 3; ++plane) {
    const int rows =
        plane == 0 ? frame->height : AV_CEIL_RSHIFT(frame->height, format->log2_chroma_h);
    const int columns =
        plane == 0 ? frame->width : AV_CEIL_RSHIFT(frame->width, format->log2_chroma_w);
    for (int y = 0; y < rows; ++y) {
      std::uint8_t* row = frame->data[plane] + y * frame->linesize[plane];
      if (format->comp[0].depth > 8) {
        std::fill_n(reinterpret_cast<std::uint16_t*>(row), columns,
                    static_cast<std::uint16_t>(codes[plane]));
      } else {
        std::fill_n(row, columns, static_cast<std::uint8_t>(codes[plane]));
      }
    }
  }
}

/// Encodes one stream into packets and knows how to describe it to the muxer.
class StreamEncoder {
 public:
  StreamEncoder(const SyntheticStream& what, AVFormatContext& output) : what_(what) {
    using Kind = SyntheticStream::Kind;
    const char* name = what.kind == Kind::kAudio   ? "flac"
                       : what.kind == Kind::kCover ? "png"
                                                   : what.encoder.c_str();
    const AVCodec* codec = avcodec_find_encoder_by_name(name);
    if (codec == nullptr) throw std::runtime_error(std::string("no encoder ") + name);
    encoder_ = checked_allocation(AvCodecContextPtr(avcodec_alloc_context3(codec)));
    encoder_->thread_count = 1;
    encoder_->flags |= AV_CODEC_FLAG_BITEXACT;
    if (output.oformat->flags & AVFMT_GLOBALHEADER) encoder_->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
    what.kind == Kind::kAudio ? set_up_audio() : set_up_video();
    AVDictionary* options = nullptr;
    av_dict_parse_string(&options, what.options.c_str(), "=", ":", 0);
    const int status = avcodec_open2(encoder_.get(), codec, &options);
    av_dict_free(&options);
    require(status, name);
    stream_ = checked_allocation(avformat_new_stream(&output, nullptr));
    require(avcodec_parameters_from_context(stream_->codecpar, encoder_.get()), "parameters");
    stream_->time_base = encoder_->time_base;
    if (what.kind == Kind::kVideo && what.pts.empty())
      stream_->avg_frame_rate = {what.ticks_per_s, 1};
    if (what.is_default) stream_->disposition |= AV_DISPOSITION_DEFAULT;
    if (what.kind == Kind::kCover) stream_->disposition |= AV_DISPOSITION_ATTACHED_PIC;
    if (what.rotation_degrees != 0) {
      auto* matrix = reinterpret_cast<std::int32_t*>(
          av_stream_new_side_data(stream_, AV_PKT_DATA_DISPLAYMATRIX, 9 * sizeof(std::int32_t)));
      av_display_rotation_set(matrix, what.rotation_degrees);
    }
  }

  void write(AVFormatContext& output) {
    const int count = what_.kind == SyntheticStream::Kind::kVideo ? what_.frames : 1;
    for (int t = 0; t < count; ++t) {
      const AvFramePtr frame = what_.kind == SyntheticStream::Kind::kAudio ? silence() : picture(t);
      if (what_.kind != SyntheticStream::Kind::kAudio) {
        frame->pts = what_.pts.empty() ? t : what_.pts[static_cast<std::size_t>(t)];
      }
      send(frame.get(), output);
    }
    send(nullptr, output);
  }

 private:
  void set_up_video() {
    encoder_->width = what_.width;
    encoder_->height = what_.height;
    encoder_->pix_fmt = what_.kind == SyntheticStream::Kind::kCover
                            ? AV_PIX_FMT_RGB24
                            : av_get_pix_fmt(what_.pixel_format.c_str());
    encoder_->time_base = {1, what_.ticks_per_s};
    if (what_.pts.empty()) encoder_->framerate = {what_.ticks_per_s, 1};
    encoder_->gop_size = what_.gop;
    encoder_->max_b_frames = what_.b_frames;
    if (!what_.matrix.empty()) {
      encoder_->colorspace =
          static_cast<AVColorSpace>(av_color_space_from_name(what_.matrix.c_str()));
    }
    if (!what_.range.empty()) {
      encoder_->color_range =
          static_cast<AVColorRange>(av_color_range_from_name(what_.range.c_str()));
    }
  }

  void set_up_audio() {
    encoder_->sample_rate = 8000;
    encoder_->sample_fmt = AV_SAMPLE_FMT_S16;
    av_channel_layout_default(&encoder_->ch_layout, 1);
    encoder_->time_base = {1, 8000};
  }

  AvFramePtr silence() const {
    AvFramePtr frame = checked_allocation(AvFramePtr(av_frame_alloc()));
    frame->format = encoder_->sample_fmt;
    frame->nb_samples = encoder_->frame_size;
    frame->pts = 0;
    av_channel_layout_copy(&frame->ch_layout, &encoder_->ch_layout);
    require(av_frame_get_buffer(frame.get(), 0), "audio buffer");
    std::fill_n(frame->data[0], 2 * frame->nb_samples, std::uint8_t{0});
    return frame;
  }

  AvFramePtr picture(int t) const {
    AvFramePtr frame = checked_allocation(AvFramePtr(av_frame_alloc()));
    frame->format = encoder_->pix_fmt;
    frame->width = what_.width;
    frame->height = what_.height;
    frame->colorspace = encoder_->colorspace;
    frame->color_range = encoder_->color_range;
    require(av_frame_get_buffer(frame.get(), 0), "frame buffer");
    if (what_.flat_yuv) {
      fill_flat(frame.get(), *what_.flat_yuv);
      return frame;
    }
    const Frames rgb = synthetic_frame(what_.first_number + t, what_.width, what_.height);
    const AvFramePtr source = rgb_frame(rgb.rgb_thwc.data(), what_.width, what_.height);
    const SwsContextPtr converter(sws_getContext(
        what_.width, what_.height, AV_PIX_FMT_RGB24, what_.width, what_.height, encoder_->pix_fmt,
        SWS_BILINEAR | SWS_ACCURATE_RND, nullptr, nullptr, nullptr));
    require(sws_scale(converter.get(), source->data, source->linesize, 0, what_.height, frame->data,
                      frame->linesize),
            "sws_scale");
    return frame;
  }

  void send(const AVFrame* frame, AVFormatContext& output) {
    require(avcodec_send_frame(encoder_.get(), frame), "send_frame");
    const AvPacketPtr packet = checked_allocation(AvPacketPtr(av_packet_alloc()));
    while (avcodec_receive_packet(encoder_.get(), packet.get()) == 0) {
      packet->stream_index = stream_->index;
      // A frame of no duration at the end would be cut off by the edit list of an MP4 file.
      if (packet->duration == 0) packet->duration = 1;
      av_packet_rescale_ts(packet.get(), encoder_->time_base, stream_->time_base);
      require(av_interleaved_write_frame(&output, packet.get()), "write_frame");
    }
  }

  SyntheticStream what_;
  AvCodecContextPtr encoder_;
  AVStream* stream_ = nullptr;  // owned by the output
};

}  // namespace

Frames synthetic_frame(int t, int width, int height) {
  Frames frame{.length = 1, .height = height, .width = width, .rgb_thwc = {}};
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      std::array<int, 3> pixel = {x * 3 + t * 5, y * 4 + t, (x + y) * 2 + t * 7};
      if (y < height / 4) {
        const int row = y * 4 * kRows / height;
        const bool bit = (t >> (row * kBitsPerRow + x * kBitsPerRow / width) & 1) != 0;
        pixel.fill(bit ? 255 : 0);
      }
      for (const int value : pixel) {
        frame.rgb_thwc.push_back(static_cast<std::uint8_t>(value % 256));
      }
    }
  }
  return frame;
}

int coded_number(const Frames& frame) {
  int number = 0;
  for (int bit = 0; bit < kRows * kBitsPerRow; ++bit) {
    const std::int64_t x = (2 * (bit % kBitsPerRow) + 1) * frame.width / (2 * kBitsPerRow);
    const std::int64_t y = (2 * (bit / kBitsPerRow) + 1) * frame.height / (8 * kRows);
    if (frame.rgb_thwc[static_cast<std::size_t>((y * frame.width + x) * 3)] > 127) {
      number |= 1 << bit;
    }
  }
  return number;
}

void write_pictures(const fs::path& folder, const PictureSequence& sequence, int frames, int width,
                    int height, int first_frame) {
  fs::create_directories(folder);
  for (int t = 0; t < frames; ++t) {
    const Frames frame = synthetic_frame(first_frame + t, width, height);
    std::string digits = std::to_string(sequence.first_number + t);
    const auto filled = static_cast<std::size_t>(sequence.digits);
    if (digits.size() < filled) digits.insert(0, filled - digits.size(), '0');
    const auto bytes = sequence.suffix.ends_with("png")
                           ? encode_png(frame.rgb_thwc.data(), width, height)
                           : encode_jpeg(frame.rgb_thwc.data(), width, height);
    std::ofstream(folder / (sequence.prefix + digits + sequence.suffix), std::ios::binary)
        .write(reinterpret_cast<const char*>(bytes.data()),
               static_cast<std::streamsize>(bytes.size()));
  }
}

bool has_encoder(const std::string& name) {
  return avcodec_find_encoder_by_name(name.c_str()) != nullptr;
}

void write_media(const fs::path& path, const std::vector<SyntheticStream>& streams) {
  capture_ffmpeg_log();
  AVFormatContext* raw_output = nullptr;
  const std::string url = file_url(path);
  require(avformat_alloc_output_context2(&raw_output, nullptr, nullptr, url.c_str()), "container");
  const AvOutputPtr output(raw_output);
  output->flags |= AVFMT_FLAG_BITEXACT;
  std::vector<StreamEncoder> encoders;
  for (const SyntheticStream& stream : streams) encoders.emplace_back(stream, *output);
  require(avio_open(&output->pb, url.c_str(), AVIO_FLAG_WRITE), "open");
  require(avformat_write_header(output.get(), nullptr), "header");
  for (StreamEncoder& encoder : encoders) encoder.write(*output);
  require(av_write_trailer(output.get()), "trailer");
}

void truncate_file(const fs::path& path, double part) {
  fs::resize_file(path,
                  static_cast<std::uintmax_t>(part * static_cast<double>(fs::file_size(path))));
}

void blank_bytes(const fs::path& path, std::int64_t offset, std::int64_t count) {
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(offset);
  const std::string zeros(static_cast<std::size_t>(count), '\0');
  file.write(zeros.data(), count);
  if (!file) throw std::runtime_error("cannot blank bytes of " + path.string());
}

}  // namespace cfp::test
