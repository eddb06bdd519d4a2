// Open videos that wait for their next segment; for the sources of this folder alone.
//
// Note [Neighbouring segments]
// Annotations of long videos are rows in the order of the video, and its header, of many MB, would
// be read for each. So a video that served a segment without any error is kept for a while. Threads
// take one for themselves and give it back; a file that has changed is opened anew. Only videos
// that are read in segments are kept: a clip that is a whole file has no neighbours.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "stages/decode/open_video.h"

namespace cfp {

/// A few open videos, found by their path. Safe to use from several threads.
class OpenVideos {
 public:
  static constexpr std::size_t kMaxVideos = 16;
  static constexpr std::int64_t kMaxBytes = 512LL << 20;

  /// A video and what its file was when it was opened.
  struct Borrowed {
    std::string path;
    std::string version;  ///< of the file; empty: unknown, so that it is not kept
    std::unique_ptr<OpenVideo> video;
  };

  /// Takes an open video for one's own, or opens one.
  /// @throws DataError as OpenVideo
  Borrowed take(const std::string& path, const DecodeLimits& limits, const Deadline& deadline);

  /// Gives a video back after it served its segment without an error; what was not used for longest
  /// is closed when there are too many.
  void give_back(Borrowed video) noexcept;

  /// @return how many videos wait, for tests
  std::size_t size() const;

 private:
  mutable std::mutex mutex_;
  std::vector<Borrowed> waiting_;  ///< the one used last at the end
};

}  // namespace cfp
