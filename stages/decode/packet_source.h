// The packets of a stream a second time; for the sources of this folder alone.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "stages/decode/packet_index.h"

namespace cfp {

/// Gives indexed packets by their position, from memory or by reading the file again.
class PacketSource {
 public:
  /// All arguments outlive this object.
  /// @param range  that the index was made of
  PacketSource(const std::string& path, const PacketIndex& index, const PacketRange& range,
               const DecodeLimits& limits, const Deadline& deadline);

  /// @param position  never less than in the call before
  /// @return          valid until the next call
  /// @throws DataError `decode_error` the file is another than when it was indexed; `timeout`
  const AVPacket& at(std::int64_t position);

 private:
  const std::string& path_;
  const PacketIndex& index_;
  std::optional<MediaInput> input_;  ///< where packets are not in memory
  AvPacketPtr packet_;
  std::int64_t next_ = 0;
};

}  // namespace cfp
