#include "datasets/media_files.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <set>
#include <system_error>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/stat.h>

#include "stages/core/errors.h"

namespace cfp {
namespace fs = std::filesystem;
namespace {

constexpr std::array<std::string_view, 23> kExtensions{
    ".3gp",  ".asf", ".avi", ".divx", ".flv",  ".gif",  ".m2ts", ".m4v",
    ".mjpg", ".mkv", ".mov", ".mp4",  ".mpe",  ".mpeg", ".mpg",  ".mts",
    ".mxf",  ".ogv", ".ts",  ".vob",  ".webm", ".wmv",  ".y4m"};
static_assert(std::ranges::is_sorted(kExtensions));

/// Device and inode: what a folder is, whatever path leads to it.
using FolderId = std::pair<dev_t, ino_t>;

class Walk {
 public:
  explicit Walk(fs::path root) : root_(std::move(root)) {}

  MediaTree run() {
    // A list of folders still to visit instead of recursion: depth costs memory, not stack.
    std::vector<std::string> waiting{""};
    while (!waiting.empty()) {
      const std::string folder = std::move(waiting.back());
      waiting.pop_back();
      std::vector<std::string> inner = visit(folder);
      waiting.insert(waiting.end(), inner.rbegin(), inner.rend());
    }
    std::ranges::sort(tree_.files);
    return std::move(tree_);
  }

 private:
  /// Takes the files of one folder.
  /// @return its sub-folders, sorted, relative to the root
  std::vector<std::string> visit(const std::string& folder) {
    const fs::path path = root_ / folder;
    struct stat status {};
    if (stat(path.c_str(), &status) != 0) fail(path, std::strerror(errno));
    if (!visited_.emplace(status.st_dev, status.st_ino).second) {
      ++tree_.repeated_folders;
      return {};
    }
    std::error_code error;
    fs::directory_iterator entries(path, error);
    std::vector<std::string> folders;
    for (; !error && entries != fs::directory_iterator(); entries.increment(error)) {
      const std::string name = entries->path().filename().string();
      if (name.starts_with('.')) continue;
      const std::string relative = folder.empty() ? name : folder + "/" + name;
      std::error_code broken_link;  // status() then says not_found, which take_file() handles
      const fs::file_status kind = entries->status(broken_link);
      if (fs::is_directory(kind)) {
        folders.push_back(relative);
      } else {
        take_file(name, relative, kind);
      }
    }
    if (error) fail(path, error.message());
    std::ranges::sort(folders);
    if (folder.empty()) tree_.top_folders = folders;
    return folders;
  }

  void take_file(const std::string& name, const std::string& relative,
                 const fs::file_status& kind) {
    // Pipes and sockets would block whoever opens them.
    const bool may_be_media = fs::is_regular_file(kind) || !fs::exists(kind);
    if (may_be_media && has_media_extension(name)) {
      tree_.files.push_back(relative);
    } else {
      ++tree_.other_files;
    }
  }

  [[noreturn]] static void fail(const fs::path& path, const std::string& why) {
    throw ConfigError(fmt::format("{}: the folder cannot be read: {}", path.string(), why));
  }

  fs::path root_;
  std::set<FolderId> visited_;
  MediaTree tree_;
};

}  // namespace

bool has_media_extension(std::string_view name) {
  const std::size_t dot = name.rfind('.');
  if (dot == std::string_view::npos) return false;
  std::string extension(name.substr(dot));
  std::ranges::transform(extension, extension.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return std::ranges::binary_search(kExtensions, std::string_view(extension));
}

std::string media_extensions_text() { return fmt::format("{}", fmt::join(kExtensions, ", ")); }

MediaTree find_media(const fs::path& root) {
  std::error_code error;
  const fs::file_status kind = fs::status(root, error);
  if (!fs::exists(kind)) throw ConfigError(fmt::format("{}: no such folder", root.string()));
  if (!fs::is_directory(kind)) {
    throw ConfigError(fmt::format("{}: is no folder", root.string()));
  }
  return Walk(root).run();
}

}  // namespace cfp
