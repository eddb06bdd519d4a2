// An open video with what is known of its frames, which serves one segment after the other; for the
// sources of this folder alone.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "stages/core/clip.h"
#include "stages/decode/frame_converter.h"
#include "stages/decode/frame_listing.h"
#include "stages/decode/media_input.h"

namespace cfp {

/// One open file. What it answers does not depend on what it was asked before.
class OpenVideo {
 public:
  /// @throws DataError as MediaInput
  OpenVideo(const std::string& path, const DecodeLimits& limits, const Deadline& deadline);

  /// Gives the next segment its time.
  void set_deadline(const Deadline& deadline);

  /// Lists the frames of the file or, of a long file, of a part that covers the segment.
  /// @throws DataError `decode_error`, `timeout`
  std::shared_ptr<const FrameListing> listing(const MediaSegment& segment, FrameList list);

  /// Gives the packets of a listing again.
  PacketSource packets(const FrameListing& listing);

  const AVStream& stream() const { return input_->stream(); }
  const Orientation& orientation() const { return orientation_; }
  double tick_s() const { return av_q2d(stream().time_base); }

  /// @return whether nothing went wrong while reading, so that others may go on with it
  bool is_sound() const { return is_sound_; }
  /// @return about how much memory this takes
  std::int64_t memory_bytes() const;

 private:
  std::optional<std::int64_t> zero_pts();
  bool read_part(FrameListing& listing, const MediaSegment& segment);
  std::shared_ptr<const FrameListing> read_whole(FrameList list);
  void list_frames(FrameListing& listing, FrameList list);

  std::string path_;
  DecodeLimits limits_;
  Deadline deadline_;
  std::optional<MediaInput> input_;
  Orientation orientation_;
  bool is_read_ = false;  ///< `input_` is not at its beginning any more
  bool is_sound_ = true;
  bool has_parts_ = true;                 ///< reading parts has not failed yet
  std::optional<PacketIndex> beginning_;  ///< of a long file
  std::shared_ptr<const FrameListing> whole_;
  std::int64_t whole_bytes_ = 0;  ///< memory that `whole_` takes
};

}  // namespace cfp
