#include "stages/decode/bitstream.h"

#include <algorithm>
#include <cstdint>
#include <span>

namespace cfp {
namespace {

using Bytes = std::span<const std::uint8_t>;

/// How many bytes give the length of a unit; 0: units are separated by start codes (Annex B).
int length_bytes(const AVCodecParameters& codec) {
  const Bytes header(codec.extradata, static_cast<std::size_t>(codec.extradata_size));
  if (header.empty() || header[0] != 1) return 0;
  if (codec.codec_id == AV_CODEC_ID_H264 && header.size() >= 7) return (header[4] & 3) + 1;
  if (codec.codec_id == AV_CODEC_ID_HEVC && header.size() >= 23) return (header[21] & 3) + 1;
  return 0;
}

/// Calls `visit` with the bytes of each unit of an H.264 or HEVC packet until it says true. Units
/// between start codes are given with all that follows them.
template <class Visit>
bool any_unit(Bytes data, int length_bytes, const Visit& visit) {
  if (length_bytes == 0) {
    for (std::size_t i = 0; i + 3 < data.size(); ++i) {
      const bool is_start_code = data[i] == 0 && data[i + 1] == 0 && data[i + 2] == 1;
      if (is_start_code && visit(data.subspan(i + 3))) return true;
    }
    return false;
  }
  const auto prefix = static_cast<std::size_t>(length_bytes);
  while (data.size() > prefix) {
    std::size_t length = 0;
    for (std::size_t i = 0; i < prefix; ++i) length = length << 8 | data[i];
    data = data.subspan(prefix);
    if (length == 0 || length > data.size()) return false;
    if (visit(data.first(length))) return true;
    data = data.subspan(length);
  }
  return false;
}

Bytes bytes_of(const AVPacket& packet) {
  return {packet.data, static_cast<std::size_t>(packet.size)};
}

bool has_idr_picture(const AVCodecParameters& codec, const AVPacket& packet) {
  if (codec.codec_id == AV_CODEC_ID_H264) {
    return any_unit(bytes_of(packet), length_bytes(codec),
                    [](Bytes unit) { return (unit[0] & 31) == 5; });
  }
  return any_unit(bytes_of(packet), length_bytes(codec), [](Bytes unit) {
    const int type = unit[0] >> 1 & 63;
    return type == 19 || type == 20;  // IDR_W_RADL, IDR_N_LP
  });
}

}  // namespace

bool starts_independent_group(const AVCodecParameters& codec, const AVPacket& packet) {
  switch (codec.codec_id) {
    case AV_CODEC_ID_H264:
    case AV_CODEC_ID_HEVC:
      return has_idr_picture(codec, packet);
    case AV_CODEC_ID_VP8:
    case AV_CODEC_ID_VP9:
    case AV_CODEC_ID_FFV1:
    // Here a group may be open, but then a frame is displayed across its border, which the packet
    // index looks at.
    case AV_CODEC_ID_MPEG1VIDEO:
    case AV_CODEC_ID_MPEG2VIDEO:
    case AV_CODEC_ID_MPEG4:
      return true;
    default: {
      const AVCodecDescriptor* description = avcodec_descriptor_get(codec.codec_id);
      return description != nullptr && (description->props & AV_CODEC_PROP_INTRA_ONLY) != 0;
    }
  }
}

bool is_hidden_frame(const AVCodecParameters& codec, const AVPacket& packet) {
  // The fifth bit of a VP8 frame's tag is `show_frame`. VP9 packs hidden frames with shown ones.
  return codec.codec_id == AV_CODEC_ID_VP8 && packet.size > 0 && (packet.data[0] >> 4 & 1) == 0;
}

bool has_hole(const AVCodecParameters& codec, const AVPacket& packet) {
  // Within a unit two zero bytes are followed by 3 or more ("emulation prevention"). Only its end
  // may be filled up with zeros; and between start codes any number of them is allowed.
  constexpr int kCertainlyNoCode = 16;
  const int prefix = length_bytes(codec);
  if (prefix == 0) return false;
  return any_unit(bytes_of(packet), prefix, [](Bytes unit) {
    // Not std::ranges::search_n: clang 14 cannot read GCC 12's.
    const auto hole = std::search_n(unit.begin(), unit.end(), kCertainlyNoCode, std::uint8_t{0});
    return std::any_of(hole, unit.end(), [](std::uint8_t b) { return b != 0; });
  });
}

bool can_skip_unreferenced(AVCodecID codec) {
  // HEVC is left out: what it calls a non-reference picture may serve a higher temporal layer.
  return codec == AV_CODEC_ID_H264 || codec == AV_CODEC_ID_MPEG1VIDEO ||
         codec == AV_CODEC_ID_MPEG2VIDEO || codec == AV_CODEC_ID_MPEG4;
}

}  // namespace cfp
