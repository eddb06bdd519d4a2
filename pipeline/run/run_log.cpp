#include "pipeline/run/run_log.h"

#include <cerrno>
#include <chrono>
#include <cstring>
#include <fstream>

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "stages/core/errors.h"

namespace cfp {
namespace {

bool ends_within_a_line(const std::filesystem::path& path) {
  std::error_code error;
  if (!std::filesystem::is_regular_file(path, error)) return false;
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  if (!file || file.tellg() <= 0) return false;
  file.seekg(-1, std::ios::end);
  return file.get() != '\n';
}

}  // namespace

std::string utc_time() {
  const auto now = std::chrono::system_clock::now();
  const auto milliseconds =
      std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch()).count() % 1000;
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}Z",
                     fmt::gmtime(std::chrono::system_clock::to_time_t(now)), milliseconds);
}

RunLog::RunLog(const std::filesystem::path& path)
    : path_(path.string()),
      file_(std::fopen(path.c_str(), "ae")),
      is_torn_(ends_within_a_line(path)) {
  if (!file_) {
    throw SystemError(fmt::format("cannot write '{}': {}", path_, std::strerror(errno)));
  }
  // A line goes to the file in one piece, and one that found no room is not tried again with the
  // next.
  std::setvbuf(file_.get(), nullptr, _IONBF, 0);
}

void RunLog::write(std::string_view event, const nlohmann::ordered_json& fields) {
  nlohmann::ordered_json line{{"time", utc_time()}, {"event", event}};
  line.update(fields);
  // Paths of files need not be UTF-8, JSON must be.
  std::string text =
      line.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + '\n';
  const std::lock_guard lock(mutex_);
  if (is_torn_) text.insert(0, 1, '\n');
  const std::size_t written = std::fwrite(text.data(), 1, text.size(), file_.get());
  if (written == text.size()) {
    is_torn_ = false;
    return;
  }
  const int error = errno;
  if (written > 0) is_torn_ = text[written - 1] != '\n';
  std::clearerr(file_.get());
  throw SystemError(fmt::format("cannot write '{}': {}", path_, std::strerror(error)));
}

}  // namespace cfp
