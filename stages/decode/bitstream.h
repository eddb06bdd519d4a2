// What the bytes of a packet say, without decoding it; for the sources of this folder alone.
#pragma once

#include "stages/decode/ffmpeg.h"

namespace cfp {

/// Says whether a key packet resets the decoder completely, judged by its own bytes: an IDR picture
/// of H.264 or HEVC, a key frame of VP8 or VP9, any frame of a codec without prediction, ….
/// @param packet  marked as key by the container
/// @return        false where it is not certain
bool starts_independent_group(const AVCodecParameters& codec, const AVPacket& packet);

/// @return whether a packet is a frame that is only referred to and never shown (VP8's "altref")
bool is_hidden_frame(const AVCodecParameters& codec, const AVPacket& packet);

/// @return whether an H.264 or HEVC packet has lost bytes: a run of zeros, as holes of incomplete
///         downloads are read, which these codecs never write and their decoders may not notice
bool has_hole(const AVCodecParameters& codec, const AVPacket& packet);

/// @return whether the decoder leaves out frames that nothing refers to, when told to, without any
///         effect on the others
bool can_skip_unreferenced(AVCodecID codec);

}  // namespace cfp
