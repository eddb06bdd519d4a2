// What the packets of a video stream say, before any is decoded; for the sources of this folder.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "stages/decode/ffmpeg.h"
#include "stages/decode/media_input.h"

namespace cfp {

/// One packet of the video stream. Times are in ticks of the stream's time base.
struct PacketEntry {
  std::int64_t pts = AV_NOPTS_VALUE;  ///< presentation time
  std::int64_t dts = AV_NOPTS_VALUE;  ///< decoding time
  std::int64_t duration = 0;          ///< 0: not said
  int bytes = 0;
  bool is_key = false;          ///< the container or parser says so
  bool is_shown = true;         ///< not cut off by an edit list, not a hidden frame
  bool is_damaged = false;      ///< only a part of it is there
  bool is_fresh_start = false;  ///< decoding from here gives the same frames as from the start
};

/// Nearly four days at 60 frames a second.
inline constexpr std::int64_t kMaxPackets = 20'000'000;

/// The part of a file's packets that is read, times in ticks.
struct PacketRange {
  std::optional<std::int64_t>
      seek_to;  ///< decoding time at which reading starts; absent: the start
  std::optional<std::int64_t> stop_at;     ///< packets decoded at or after this time are not wanted
  std::int64_t max_packets = kMaxPackets;  ///< reading stops after so many
};

/// The packets of a video stream, in the order of decoding.
struct PacketIndex {
  std::vector<PacketEntry> packets;
  std::vector<std::int64_t> restart;  ///< for each packet: the last fresh start at or before it; 0
                                      ///< where there is none
  std::vector<std::int64_t> shown;    ///< packets that are frames, by presentation time
  std::vector<AvPacketPtr> kept;      ///< the packets themselves; empty where they are too large
  std::optional<std::int64_t> zero_pts;  ///< the file's first frame, where reading began later
  std::string stopped_by;                ///< why reading ended before the end of the file; or empty
  bool has_exact_times = false;          ///< `shown` can be trusted: every frame has its own time
};

/// Reads the packets of a range from where `input` stands.
/// @throws DataError `timeout`, `decode_error` absurdly many packets
PacketIndex index_packets(MediaInput& input, const std::string& path, const PacketRange& range);

}  // namespace cfp
