#include "pipeline/run/run_log.h"

#include <cerrno>
#include <chrono>
#include <cstring>

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "stages/core/errors.h"

namespace cfp {

std::string utc_time() {
  const auto now = std::chrono::system_clock::now();
  const auto milliseconds =
      std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch()).count() % 1000;
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}Z",
                     fmt::gmtime(std::chrono::system_clock::to_time_t(now)), milliseconds);
}

RunLog::RunLog(const std::filesystem::path& path)
    : path_(path.string()), file_(std::fopen(path.c_str(), "ae")) {
  if (!file_) {
    throw SystemError(fmt::format("cannot write '{}': {}", path_, std::strerror(errno)));
  }
}

void RunLog::write(std::string_view event, const nlohmann::ordered_json& fields) {
  nlohmann::ordered_json line{{"time", utc_time()}, {"event", event}};
  line.update(fields);
  // Paths of files need not be UTF-8, JSON must be.
  const std::string text =
      line.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + '\n';
  const std::lock_guard lock(mutex_);
  if (std::fwrite(text.data(), 1, text.size(), file_.get()) != text.size() ||
      std::fflush(file_.get()) != 0) {
    throw SystemError(fmt::format("cannot write '{}': {}", path_, std::strerror(errno)));
  }
}

}  // namespace cfp
