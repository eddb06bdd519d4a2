#include "stages/decode/folder_names.h"

#include <cerrno>
#include <cstring>
#include <filesystem>

#include <dirent.h>
#include <fmt/format.h>

#include "stages/core/c_handle.h"
#include "stages/core/errors.h"

namespace cfp {
namespace fs = std::filesystem;

void check_folder(const std::string& path) {
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (status.type() == fs::file_type::not_found) {
    throw DataError(FailureReason::kMissing, path + ": no such folder");
  }
  if (error) throw DataError(FailureReason::kUnreadable, path + ": " + error.message());
  if (status.type() != fs::file_type::directory) {
    throw DataError(FailureReason::kUnreadable, path + ": is a file, not a folder");
  }
}

void for_each_name(const std::string& folder, const std::function<void(std::string_view)>& use) {
  const CPtr<DIR, ::closedir> listing(::opendir(folder.c_str()));
  const auto fail = [&] {
    throw DataError(FailureReason::kUnreadable,
                    fmt::format("{}: {}", folder, std::strerror(errno)));
  };
  if (listing == nullptr) fail();
  while (true) {
    errno = 0;
    const dirent* entry = ::readdir(listing.get());
    if (entry == nullptr && errno != 0) fail();
    if (entry == nullptr) return;
    use(entry->d_name);
  }
}

}  // namespace cfp
