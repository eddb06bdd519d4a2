// The frames of a file or of a part of it, in the order of their times; for the sources of this
// folder alone. See Note [What a frame is] in video_decoder.h.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "stages/decode/media_input.h"
#include "stages/decode/packet_index.h"
#include "stages/decode/packet_source.h"
#include "stages/decode/picture_decoder.h"

namespace cfp {

/// A frame of the video: where in the stream its packet is, and when it is shown.
struct ListedFrame {
  std::int64_t position = 0;  ///< of the packet in the packet index
  std::int64_t restart = 0;   ///< position from which it can be decoded
  double time_s = 0;
};

struct FrameListing {
  PacketRange range;  ///< what was read of the file
  PacketIndex index;
  std::vector<ListedFrame> frames;
  double start_time_s = 0;             ///< of the file's first frame, in its own clock
  bool is_listed_by_decoding = false;  ///< the packets did not say where the frames are
};

/// Lists frames by the time stamps of packets.
/// @param listing  with an index of exact times and at least one shown packet
/// @param tick_s   seconds a tick
void list_from_packets(FrameListing& listing, double tick_s);

/// Lists frames by decoding all packets of the index once. Times are those that the decoder makes
/// of what stamps there are; where it makes none, or none that is later than the one before, frames
/// follow at the average rate.
void list_from_decoding(FrameListing& listing, MediaInput& input, const DecodeLimits& limits,
                        const Deadline& deadline);

/// Decodes one indexed packet, and marks it as damaged if the file has only a part of it.
void feed(PictureDecoder& decoder, PacketSource& packets, std::int64_t position,
          bool skips_unreferenced, const PictureDecoder::Take& take);

}  // namespace cfp
