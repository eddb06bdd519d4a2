#include "stages/decode/packet_source.h"

#include <fmt/format.h>

namespace cfp {

PacketSource::PacketSource(const std::string& path, const PacketIndex& index,
                           const PacketRange& range, const DecodeLimits& limits,
                           const Deadline& deadline)
    : path_(path), index_(index) {
  if (!index_.kept.empty() || index_.packets.empty()) return;
  input_.emplace(path, limits, deadline);
  if (range.seek_to) input_->seek(*range.seek_to);
  packet_ = checked_allocation(AvPacketPtr(av_packet_alloc()));
}

const AVPacket& PacketSource::at(std::int64_t position) {
  if (!input_) return *index_.kept[static_cast<std::size_t>(position)];
  for (; next_ <= position; ++next_) {
    const int status = input_->read(*packet_);
    const PacketEntry& entry = index_.packets[static_cast<std::size_t>(next_)];
    const bool is_same = status >= 0 && packet_->pts == entry.pts && packet_->dts == entry.dts &&
                         packet_->size == entry.bytes;
    if (!is_same) {
      throw DataError(FailureReason::kDecodeError,
                      fmt::format("{}: reading it a second time gave other data", path_));
    }
  }
  return *packet_;
}

}  // namespace cfp
