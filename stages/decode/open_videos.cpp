#include "stages/decode/open_videos.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>
#include <sys/stat.h>

namespace cfp {
namespace {

/// @return what tells a file from another one of the same path; empty where it cannot be looked at
std::string version_of(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) return {};
  return fmt::format("{} {} {} {}.{:09}", status.st_dev, status.st_ino, status.st_size,
                     status.st_mtim.tv_sec, status.st_mtim.tv_nsec);
}

}  // namespace

OpenVideos::Borrowed OpenVideos::take(const std::string& path, const DecodeLimits& limits,
                                      const Deadline& deadline) {
  // Looked at before it is opened: a file that changes in between is opened again next time.
  Borrowed result{.path = path, .version = version_of(path), .video = nullptr};
  std::vector<Borrowed> outdated;  // closed after the lock is gone
  {
    const std::scoped_lock lock(mutex_);
    for (std::size_t i = waiting_.size(); i-- > 0;) {
      if (waiting_[i].path != path) continue;
      const bool is_current = waiting_[i].version == result.version;
      if (is_current && result.video != nullptr) continue;
      if (is_current) {
        result.video = std::move(waiting_[i].video);
      } else {
        outdated.push_back(std::move(waiting_[i]));
      }
      waiting_.erase(waiting_.begin() + static_cast<std::ptrdiff_t>(i));
    }
  }
  if (result.video != nullptr) {
    result.video->set_deadline(deadline);
  } else {
    result.video = std::make_unique<OpenVideo>(path, limits, deadline);
  }
  return result;
}

void OpenVideos::give_back(Borrowed video) noexcept try {
  if (video.version.empty() || !video.video->is_sound()) return;
  std::vector<Borrowed> closed;  // after the lock is gone
  const std::scoped_lock lock(mutex_);
  waiting_.push_back(std::move(video));
  std::int64_t bytes = 0;
  std::size_t kept = 0;
  while (kept < std::min(waiting_.size(), kMaxVideos)) {
    bytes += waiting_[waiting_.size() - 1 - kept].video->memory_bytes();
    if (bytes > kMaxBytes) break;
    ++kept;
  }
  const auto first_kept = waiting_.end() - static_cast<std::ptrdiff_t>(kept);
  std::move(waiting_.begin(), first_kept, std::back_inserter(closed));
  waiting_.erase(waiting_.begin(), first_kept);
} catch (const std::bad_alloc&) {
  // The video is closed; the next segment opens it again.
}

std::size_t OpenVideos::size() const {
  const std::scoped_lock lock(mutex_);
  return waiting_.size();
}

}  // namespace cfp
