#include "stages/decode/frame_source.h"

namespace cfp {

FrameSource::Source FrameSource::open(const MediaSegment& segment, const DecodeLimits& limits,
                                      FrameList list, OpenVideos* reuse) {
  if (segment.pictures) return PictureFolder(segment, limits);
  if (segment.in_pieces) return VideoPieces(segment, limits, list, reuse);
  return VideoDecoder(segment, limits, list, reuse);
}

FrameSource::FrameSource(const MediaSegment& segment, const DecodeLimits& limits, FrameList list,
                         OpenVideos* reuse)
    : source_(open(segment, limits, list, reuse)) {}

const std::vector<double>& FrameSource::frame_times_s() const {
  return std::visit(
      [](const auto& source) -> const std::vector<double>& { return source.frame_times_s(); },
      source_);
}

double FrameSource::end_time_s() const {
  return std::visit([](const auto& source) { return source.end_time_s(); }, source_);
}

double FrameSource::tick_s() const {
  return std::visit([](const auto& source) { return source.tick_s(); }, source_);
}

void FrameSource::decode(std::span<const std::int64_t> wanted, const TakeFrame& take) {
  std::visit([&](auto& source) { source.decode(wanted, take); }, source_);
}

}  // namespace cfp
