#include "stages/decode/open_video.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace cfp {
namespace {

// Note [Long files]
// A file of more than DecodeLimits::whole_file_bytes is not read as a whole for a segment of it:
// reading starts at a key frame before the segment where decoding may start, and stops behind it.

/// How far behind a segment's end reading goes on, for containers whose decoding times run late.
constexpr double kReadBehind_s = 1;
/// Packets at the start of a file among which the first frame is.
constexpr int kFirstPackets = 64;
/// Key frames before the segment that are tried: the last one may be shown after the segment's
/// start though it is decoded before, or belong to an open group of pictures.
constexpr int kMaxSeeks = 4;

std::int64_t bytes_of(const FrameListing& listing) {
  constexpr auto kPerPacket = static_cast<std::int64_t>(sizeof(PacketEntry) + sizeof(AVPacket) +
                                                        sizeof(ListedFrame) + 4 * sizeof(void*));
  std::int64_t bytes = kPerPacket * static_cast<std::int64_t>(listing.index.packets.size());
  for (const AvPacketPtr& packet : listing.index.kept) bytes += packet->size;
  return bytes;
}

}  // namespace

OpenVideo::OpenVideo(const std::string& path, const DecodeLimits& limits, const Deadline& deadline)
    : path_(path), limits_(limits), deadline_(deadline) {
  input_.emplace(path, limits, deadline);
  orientation_ = stream_orientation(input_->stream(), path);
}

void OpenVideo::set_deadline(const Deadline& deadline) {
  deadline_ = deadline;
  input_->set_deadline(deadline);
}

std::shared_ptr<const FrameListing> OpenVideo::listing(const MediaSegment& segment,
                                                       FrameList list) {
  const bool wants_part = segment.start_s || segment.end_s;
  if (wants_part && has_parts_ && input_->file_bytes() > limits_.whole_file_bytes) {
    auto part = std::make_shared<FrameListing>();
    if (read_part(*part, segment)) {
      list_frames(*part, list);
      is_sound_ = is_sound_ && part->index.stopped_by.empty();
      return part;
    }
    has_parts_ = false;
  }
  if (whole_ == nullptr || list == FrameList::kFromDecoding) whole_ = read_whole(list);
  return whole_;
}

PacketSource OpenVideo::packets(const FrameListing& listing) {
  return {*input_, listing.index, listing.range, limits_, deadline_};
}

/// @return the time stamp of the file's first frame; nothing where its first packets do not say it
std::optional<std::int64_t> OpenVideo::zero_pts() {
  if (!beginning_) {
    is_read_ = true;
    beginning_ = index_packets(*input_, path_, {.max_packets = kFirstPackets});
    beginning_->kept.clear();
  }
  if (!beginning_->has_exact_times || beginning_->shown.empty()) return {};
  return beginning_->packets[static_cast<std::size_t>(beginning_->shown[0])].pts;
}

/// See Note [Long files].
/// @return false where this is not possible
bool OpenVideo::read_part(FrameListing& listing, const MediaSegment& segment) {
  const std::optional<std::int64_t> zero = zero_pts();
  if (!zero) return false;
  const std::int64_t start =
      *zero + static_cast<std::int64_t>(std::floor(segment.start_s.value_or(0) / tick_s()));
  listing.range.seek_to = start;
  if (segment.end_s) {
    listing.range.stop_at =
        *zero + static_cast<std::int64_t>((*segment.end_s + kReadBehind_s) / tick_s());
  }
  for (int i = 0; i < kMaxSeeks; ++i) {
    is_read_ = true;
    if (!input_->seek(*listing.range.seek_to)) return false;
    listing.index = index_packets(*input_, path_, listing.range);
    if (listing.index.packets.empty() || !listing.index.has_exact_times) return false;
    const PacketEntry& first = listing.index.packets[0];
    if (first.is_fresh_start && first.pts <= start) {
      listing.index.zero_pts = zero;
      return true;
    }
    const std::int64_t landed = first.dts != AV_NOPTS_VALUE ? first.dts : first.pts;
    listing.range.seek_to = std::min(*listing.range.seek_to, landed) - 1;
  }
  return false;
}

std::shared_ptr<const FrameListing> OpenVideo::read_whole(FrameList list) {
  if (std::exchange(is_read_, true)) input_.emplace(path_, limits_, deadline_);
  auto whole = std::make_shared<FrameListing>();
  whole->index = index_packets(*input_, path_, whole->range);
  list_frames(*whole, list);
  whole_bytes_ = bytes_of(*whole);
  return whole;
}

void OpenVideo::list_frames(FrameListing& listing, FrameList list) {
  const bool packets_say_it = listing.index.has_exact_times && !listing.index.shown.empty();
  if (list == FrameList::kFromPackets && packets_say_it) {
    list_from_packets(listing, tick_s());
  } else {
    list_from_decoding(listing, *input_, limits_, deadline_);
  }
}

std::int64_t OpenVideo::memory_bytes() const {
  std::int64_t bytes = 1 << 20;  // buffers, tables, the decoder's parameters
  for (unsigned i = 0; i < input_->format().nb_streams; ++i) {
    // The demuxer's tables take about as much again as its list of entries.
    bytes += 2 * static_cast<std::int64_t>(sizeof(AVIndexEntry)) *
             avformat_index_get_entries_count(input_->format().streams[i]);
  }
  return bytes + whole_bytes_;
}

}  // namespace cfp
