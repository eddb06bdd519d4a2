#include "datasets/media_files.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <map>
#include <optional>
#include <set>
#include <system_error>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/stat.h>

#include "datasets/csv.h"
#include "stages/core/errors.h"

namespace cfp {
namespace fs = std::filesystem;
namespace {

constexpr std::array<std::string_view, 23> kExtensions{
    ".3gp",  ".asf", ".avi", ".divx", ".flv",  ".gif",  ".m2ts", ".m4v",
    ".mjpg", ".mkv", ".mov", ".mp4",  ".mpe",  ".mpeg", ".mpg",  ".mts",
    ".mxf",  ".ogv", ".ts",  ".vob",  ".webm", ".wmv",  ".y4m"};
static_assert(std::ranges::is_sorted(kExtensions));

/// What frames may be packed in.
constexpr std::array<std::string_view, 8> kArchives{".7z",  ".gz",  ".h5",  ".hdf5",
                                                    ".rar", ".tar", ".tgz", ".zip"};
static_assert(std::ranges::is_sorted(kArchives));
constexpr std::array<std::string_view, 3> kPictures{".jpeg", ".jpg", ".png"};
static_assert(std::ranges::is_sorted(kPictures));

/// So many pictures of one sequence, and nothing else, make a folder one of pictures.
constexpr std::int64_t kPicturesRead = 64;

/// The extension in lower case; empty where there is none.
std::string extension_of(std::string_view name) {
  const std::size_t dot = name.rfind('.');
  return dot == std::string_view::npos ? std::string() : ascii_lower(name.substr(dot));
}

template <std::size_t N>
bool is_among(const std::array<std::string_view, N>& sorted, std::string_view name) {
  return std::ranges::binary_search(sorted, std::string_view(extension_of(name)));
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }

/// A numbered picture's name, taken apart: `img_`, `00017`, `.jpg`.
struct PictureName {
  std::string_view prefix, number, suffix;
};

std::optional<PictureName> picture_name(std::string_view name) {
  constexpr std::size_t kMostDigits = 18;  // fits 64 bits
  if (!is_among(kPictures, name)) return std::nullopt;
  const std::size_t dot = name.rfind('.');
  std::size_t begin = dot;
  while (begin > 0 && is_digit(name[begin - 1]) && dot - begin < kMostDigits) --begin;
  if (begin == dot) return std::nullopt;
  return PictureName{name.substr(0, begin), name.substr(begin, dot - begin), name.substr(dot)};
}

std::string file_name(const PictureSequence& pictures, std::int64_t number) {
  return fmt::format("{}{:0{}}{}", pictures.prefix, number, pictures.digits, pictures.suffix);
}

/// What the entries of one folder are.
struct FolderContents {
  std::vector<std::string> folders;                      ///< names
  std::vector<std::string> videos;                       ///< names
  std::vector<std::string> others;                       ///< names
  std::map<std::string, std::string> example_of_prefix;  ///< of numbered pictures, flow left out
  std::int64_t lowest_picture = -1;                      ///< among those read
  std::int64_t pictures = 0;
  bool has_zero_filled = false;  ///< a number with a leading zero was met
};

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
    std::ranges::sort(tree_.picture_folders, {}, &PictureFolder::path);
    std::ranges::sort(tree_.piece_folders);
    std::ranges::sort(tree_.file_like_folders);
    std::ranges::sort(tree_.unreadable_folders);
    return std::move(tree_);
  }

 private:
  static std::string joined(const std::string& folder, const std::string& name) {
    return folder.empty() ? name : folder + "/" + name;
  }

  /// Takes what one folder holds.
  /// @return its sub-folders, sorted, relative to the root
  std::vector<std::string> visit(const std::string& folder) {
    const fs::path path = root_ / folder;
    struct stat status {};
    if (stat(path.c_str(), &status) != 0) return unreadable(folder, std::strerror(errno));
    if (!visited_.emplace(status.st_dev, status.st_ino).second) {
      ++tree_.repeated_folders;
      return {};
    }
    FolderContents contents;
    // Two links mean: no folder in it, where the file system counts them at all.
    if (const auto error = read(path, /*may_stop_early*/ status.st_nlink == 2, contents)) {
      return unreadable(folder, error.message());
    }
    take(folder, contents);
    std::vector<std::string> folders;
    for (const std::string& name : contents.folders) folders.push_back(joined(folder, name));
    std::ranges::sort(folders);
    if (folder.empty()) tree_.top_folders = folders;
    return folders;
  }

  static std::error_code read(const fs::path& path, bool may_stop_early, FolderContents& contents) {
    std::error_code error;
    fs::directory_iterator entries(path, error);
    for (; !error && entries != fs::directory_iterator(); entries.increment(error)) {
      const std::string name = entries->path().filename().string();
      if (name.starts_with('.')) continue;
      std::error_code broken_link;  // status() then says not_found
      const fs::file_status kind = entries->status(broken_link);
      // Pipes and sockets would block whoever opens them.
      const bool may_be_media = fs::is_regular_file(kind) || !fs::exists(kind);
      if (fs::is_directory(kind)) {
        contents.folders.push_back(name);
      } else if (may_be_media && has_media_extension(name)) {
        contents.videos.push_back(name);
      } else if (may_be_media && note_picture(name, contents)) {
        const bool only_pictures = contents.folders.empty() && contents.videos.empty() &&
                                   contents.example_of_prefix.size() == 1;
        if (may_stop_early && only_pictures && contents.pictures == kPicturesRead) return {};
      } else {
        contents.others.push_back(name);
      }
    }
    return error;
  }

  /// @return whether it is a numbered picture of a clip
  static bool note_picture(const std::string& name, FolderContents& contents) {
    const auto parts = picture_name(name);
    if (!parts || parts->prefix.starts_with("flow")) return false;
    contents.example_of_prefix.emplace(parts->prefix, name);
    contents.has_zero_filled |= parts->number.size() > 1 && parts->number[0] == '0';
    std::int64_t number = 0;
    std::from_chars(parts->number.data(), parts->number.data() + parts->number.size(), number);
    if (contents.lowest_picture < 0 || number < contents.lowest_picture) {
      contents.lowest_picture = number;
    }
    ++contents.pictures;
    return true;
  }

  void take(const std::string& folder, const FolderContents& contents) {
    for (const std::string& name : contents.others) {
      ++tree_.other_files;
      if (is_among(kArchives, name)) ++tree_.archives;
    }
    const bool is_numbered = std::ranges::any_of(contents.videos, [](const std::string& name) {
      return std::ranges::all_of(fs::path(name).stem().string(), is_digit);
    });
    if (has_media_extension(folder) && is_numbered) {
      tree_.piece_folders.push_back(folder);
      return;
    }
    if (has_media_extension(folder)) tree_.file_like_folders.push_back(folder);
    for (const std::string& name : contents.videos) tree_.files.push_back(joined(folder, name));
    if (contents.pictures == 0) return;
    if (contents.videos.empty() && contents.folders.empty() &&
        contents.example_of_prefix.size() == 1) {
      tree_.picture_folders.push_back({folder, sequence(folder, contents)});
    } else {
      tree_.other_files += contents.pictures;
    }
  }

  /// How the pictures of a folder are called, and where they begin.
  PictureSequence sequence(const std::string& folder, const FolderContents& contents) const {
    const std::string& example = contents.example_of_prefix.begin()->second;
    const PictureName parts = *picture_name(example);
    PictureSequence pictures{.prefix = std::string(parts.prefix),
                             .digits = static_cast<int>(parts.number.size()),
                             .suffix = std::string(parts.suffix)};
    const auto exists = [&](std::int64_t number) {
      std::error_code ignored;
      return fs::exists(root_ / folder / file_name(pictures, number), ignored);
    };
    // Without a leading zero anywhere it takes a look whether numbers are filled up.
    if (!contents.has_zero_filled && !exists(0) && !exists(1)) pictures.digits = 0;
    pictures.first_number = exists(0) ? 0 : exists(1) ? 1 : lowest_picture(folder);
    return pictures;
  }

  std::int64_t lowest_picture(const std::string& folder) const {
    FolderContents all;
    read(root_ / folder, /*may_stop_early*/ false, all);
    return all.lowest_picture;
  }

  std::vector<std::string> unreadable(const std::string& folder, const std::string& why) {
    if (folder.empty()) {
      throw ConfigError(fmt::format("{}: the folder cannot be read: {}", root_.string(), why));
    }
    tree_.unreadable_folders.push_back(fmt::format("{}: {}", folder, why));
    return {};
  }

  fs::path root_;
  std::set<FolderId> visited_;
  MediaTree tree_;
};

}  // namespace

bool has_media_extension(std::string_view name) { return is_among(kExtensions, name); }

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
