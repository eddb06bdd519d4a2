#include "stages/decode/packet_index.h"

#include <algorithm>
#include <limits>
#include <numeric>

#include <fmt/format.h>

#include "stages/decode/bitstream.h"

namespace cfp {
namespace {

/// Packets are kept in memory up to this much, which saves reading a usual clip twice.
constexpr std::int64_t kMaxKeptBytes = 64 << 20;

PacketEntry entry_of(const AVPacket& packet, const AVCodecParameters& codec) {
  return {.pts = packet.pts,
          .dts = packet.dts,
          .duration = packet.duration,
          .bytes = packet.size,
          .is_key = (packet.flags & AV_PKT_FLAG_KEY) != 0,
          .is_shown = (packet.flags & AV_PKT_FLAG_DISCARD) == 0 && !is_hidden_frame(codec, packet),
          .is_damaged = (packet.flags & AV_PKT_FLAG_CORRUPT) != 0 || has_hole(codec, packet),
          .is_fresh_start =
              (packet.flags & AV_PKT_FLAG_KEY) != 0 && starts_independent_group(codec, packet)};
}

/// A group of pictures only starts afresh if no frame is displayed across its border.
void keep_only_closed_starts(std::vector<PacketEntry>& packets) {
  const std::size_t count = packets.size();
  std::vector<std::int64_t> earliest_after(count + 1, std::numeric_limits<std::int64_t>::max());
  for (std::size_t i = count; i-- > 0;) {
    earliest_after[i] = std::min(earliest_after[i + 1], packets[i].pts);
  }
  std::int64_t latest_before = std::numeric_limits<std::int64_t>::min();
  for (std::size_t i = 0; i < count; ++i) {
    const bool is_closed = earliest_after[i + 1] > packets[i].pts && latest_before < packets[i].pts;
    packets[i].is_fresh_start = packets[i].is_fresh_start && is_closed;
    latest_before = std::max(latest_before, packets[i].pts);
  }
}

void number_restarts(PacketIndex& index) {
  std::int64_t restart = 0;
  for (std::size_t i = 0; i < index.packets.size(); ++i) {
    if (index.packets[i].is_fresh_start) restart = static_cast<std::int64_t>(i);
    index.restart.push_back(restart);
  }
}

/// Frames before the first key frame, in decoding or (H.264) in presentation, lack what they refer
/// to: no decoder shows them.
void hide_frames_without_reference(std::vector<PacketEntry>& packets, AVCodecID codec) {
  const auto first_key = std::ranges::find_if(packets, &PacketEntry::is_key);
  if (first_key == packets.end()) return;
  for (auto packet = packets.begin(); packet != first_key; ++packet) packet->is_shown = false;
  if (codec != AV_CODEC_ID_H264) return;
  for (auto packet = first_key; packet != packets.end(); ++packet) {
    if (packet->pts < first_key->pts) packet->is_shown = false;
  }
}

void list_shown(PacketIndex& index) {
  index.has_exact_times = std::ranges::all_of(
      index.packets, [](const PacketEntry& packet) { return packet.pts != AV_NOPTS_VALUE; });
  if (!index.has_exact_times) return;
  for (std::size_t i = 0; i < index.packets.size(); ++i) {
    if (index.packets[i].is_shown) index.shown.push_back(static_cast<std::int64_t>(i));
  }
  const auto time = [&](std::int64_t i) { return index.packets[static_cast<std::size_t>(i)].pts; };
  std::ranges::stable_sort(index.shown, {}, time);
  index.has_exact_times =
      std::ranges::adjacent_find(index.shown, std::ranges::equal_to{}, time) == index.shown.end();
}

/// A file that was cut off looks to FFmpeg like one that ends, but for some signs.
/// @return what is wrong with the end; empty: nothing
std::string cut_off(const MediaInput& input, const PacketIndex& index) {
  if (input.format().pb->error < 0) return failure_text(input.format().pb->error);
  if (!first_complaint().empty()) return "the file is cut off (" + first_complaint() + ")";
  if (!index.packets.empty() && index.packets.back().is_damaged) {
    return "the file is cut off within its last packet";
  }
  return {};
}

}  // namespace

PacketIndex index_packets(MediaInput& input, const std::string& path, const PacketRange& range) {
  PacketIndex index;
  const AVCodecParameters& codec = *input.stream().codecpar;
  std::int64_t kept_bytes = 0;
  bool keeps = true;
  const AvPacketPtr packet = checked_allocation(AvPacketPtr(av_packet_alloc()));
  while (static_cast<std::int64_t>(index.packets.size()) < range.max_packets) {
    capture_ffmpeg_log();
    const int status = input.read(*packet);
    if (status == AVERROR_EOF) {
      index.stopped_by = cut_off(input, index);
      break;
    }
    if (status < 0) {
      index.stopped_by = failure_text(status);
      break;
    }
    if (range.stop_at && packet->dts != AV_NOPTS_VALUE && packet->dts >= *range.stop_at) break;
    index.packets.push_back(entry_of(*packet, codec));
    kept_bytes += packet->size;
    if (keeps && kept_bytes > kMaxKeptBytes) {
      keeps = false;
      index.kept.clear();
    }
    if (keeps) index.kept.push_back(checked_allocation(AvPacketPtr(av_packet_clone(packet.get()))));
  }
  if (static_cast<std::int64_t>(index.packets.size()) == kMaxPackets) {
    throw DataError(FailureReason::kDecodeError,
                    fmt::format("{}: more than {} packets", path, kMaxPackets));
  }
  hide_frames_without_reference(index.packets, codec.codec_id);
  keep_only_closed_starts(index.packets);
  number_restarts(index);
  list_shown(index);
  return index;
}

}  // namespace cfp
