// What happened during a run, one JSON object a line, written at once.
#pragma once

#include <cstdio>
#include <filesystem>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

#include "stages/core/c_handle.h"

namespace cfp {

/// Appends to a file, also to one of an earlier run, of lines such as
/// `{"time":"…","event":"failure","clip":"a.mp4",…}`. Where the last line was torn off, by a full
/// disk or a loss of power, the next one begins on a line of its own. Safe to use from several
/// threads.
class RunLog {
 public:
  /// @throws SystemError the file cannot be made
  explicit RunLog(const std::filesystem::path& path);

  /// @param fields  an object; `time` and `event` are put before its own
  /// @throws SystemError the disk is full or fails
  void write(std::string_view event, const nlohmann::ordered_json& fields);

 private:
  std::string path_;
  std::mutex mutex_;
  CPtr<std::FILE, std::fclose> file_;
  bool is_torn_;  ///< whether the file ends within a line
};

/// @return the time in UTC: `2026-01-31T12:34:56.789Z`
std::string utc_time();

}  // namespace cfp
