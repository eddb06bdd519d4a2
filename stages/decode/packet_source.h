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
  /// All arguments but the deadline outlive this object.
  /// @param input  that the index was made with; where only a part of the file was read, that part
  ///               is read again from it
  /// @param range  that the index was made of
  PacketSource(MediaInput& input, const PacketIndex& index, const PacketRange& range,
               const DecodeLimits& limits, const Deadline& deadline);

  /// @param position  never less than in the call before
  /// @return          valid until the next call
  /// @throws DataError `decode_error` the file is another than when it was indexed; `timeout`
  const AVPacket& at(std::int64_t position);

  const PacketEntry& entry(std::int64_t position) const {
    return index_.packets[static_cast<std::size_t>(position)];
  }

 private:
  void go_to_first_packet();
  bool is_packet(std::int64_t position) const;
  [[noreturn]] void fail_as_changed() const;

  MediaInput& input_;
  const PacketIndex& index_;
  const PacketRange& range_;
  Deadline deadline_;
  std::optional<MediaInput> second_;  ///< a whole file that is read again
  AvPacketPtr packet_;                ///< null where packets are in memory
  std::int64_t next_ = 0;
};

}  // namespace cfp
