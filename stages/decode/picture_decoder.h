// One decoder, fed packet by packet, that remembers what went wrong; for the sources of this
// folder.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "stages/decode/media_input.h"

namespace cfp {

/// Decodes packets of one stream and keeps account of damage.
///
/// A picture that was decoded after damage may rest on it, so damage is remembered by the position
/// of its packet, and callers ask whether there is any between the last independent picture and
/// theirs.
class PictureDecoder {
 public:
  /// Takes a picture and the position of the packet it came from.
  using Take = std::function<void(const AVFrame& picture, std::int64_t position)>;

  PictureDecoder(const AVStream& stream, const std::string& path, const DecodeLimits& limits)
      : decoder_(open_decoder(stream, path, limits)),
        picture_(checked_allocation(AvFramePtr(av_frame_alloc()))) {}

  /// Leaves out what only matters to pixels; for listing frames.
  void ignore_pixels();

  /// Decodes one packet and hands over the pictures that are ready.
  /// @param position  of the packet in the stream; ascending
  /// @param skips_unreferenced  leave the picture out if no other refers to it
  void feed(const AVPacket& packet, std::int64_t position, bool skips_unreferenced,
            const Take& take);

  /// Marks a packet as damaged, whatever the decoder will say.
  void mark_damaged(std::int64_t position, const std::string& why);

  /// Hands over the pictures that are left, and makes ready for another start.
  void finish(const Take& take);

  /// @return what is wrong with the packets `first`..`last`; empty: nothing
  std::string damage_between(std::int64_t first, std::int64_t last) const;

 private:
  int receive_all(const Take& take);

  AvCodecContextPtr decoder_;
  AvFramePtr picture_;
  struct Damage {
    std::int64_t position;
    std::string why;
  };
  std::vector<Damage> damages_;
};

}  // namespace cfp
