#include "stages/decode/packet_source.h"

#include <fmt/format.h>

namespace cfp {
namespace {

/// A second seek may land in front of the first one's place, since reading adds to what is known of
/// a file; not by more packets than this.
constexpr int kMaxPacketsBefore = 100'000;

}  // namespace

PacketSource::PacketSource(MediaInput& input, const PacketIndex& index, const PacketRange& range,
                           const DecodeLimits& limits, const Deadline& deadline)
    : input_(input), index_(index), range_(range), deadline_(deadline) {
  if (!index_.kept.empty() || index_.packets.empty()) return;
  packet_ = checked_allocation(AvPacketPtr(av_packet_alloc()));
  if (range_.seek_to) {
    go_to_first_packet();
  } else {
    second_.emplace(input.path(), limits, deadline);
  }
}

void PacketSource::go_to_first_packet() {
  if (!input_.seek(*range_.seek_to)) fail_as_changed();
  for (int i = 0; i < kMaxPacketsBefore; ++i) {
    if (input_.read(*packet_) < 0) break;
    if (!is_packet(0)) continue;
    next_ = 1;
    return;
  }
  fail_as_changed();
}

/// @return whether the packet just read is the one that was indexed. Decoding times of some
///         containers are FFmpeg's guess, which depends on where reading began.
bool PacketSource::is_packet(std::int64_t position) const {
  return packet_->pts == entry(position).pts && packet_->size == entry(position).bytes;
}

void PacketSource::fail_as_changed() const {
  throw DataError(FailureReason::kDecodeError,
                  fmt::format("{}: reading it a second time gave other data", input_.path()));
}

const AVPacket& PacketSource::at(std::int64_t position) {
  deadline_.check(input_.path());
  if (packet_ == nullptr) return *index_.kept[static_cast<std::size_t>(position)];
  for (; next_ <= position; ++next_) {
    const int status = second_ ? second_->read(*packet_) : input_.read(*packet_);
    if (status < 0 || !is_packet(next_)) fail_as_changed();
  }
  return *packet_;
}

}  // namespace cfp
