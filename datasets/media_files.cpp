#include "datasets/media_files.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <optional>
#include <set>
#include <system_error>
#include <utility>

#include <dirent.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/stat.h>

#include "datasets/csv.h"
#include "stages/core/c_handle.h"
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

/// After so many pictures of one sequence, and nothing else, a name like theirs is one more.
constexpr std::int64_t kPicturesLookedAt = 64;

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
  std::string_view prefix, digits, suffix;
  std::int64_t number = 0;  ///< what the digits say
};

std::optional<PictureName> picture_name(std::string_view name) {
  constexpr std::size_t kMostDigits = 18;  // fits 64 bits
  if (!is_among(kPictures, name)) return std::nullopt;
  const std::size_t dot = name.rfind('.');
  std::size_t begin = dot;
  while (begin > 0 && is_digit(name[begin - 1]) && dot - begin < kMostDigits) --begin;
  if (begin == dot) return std::nullopt;
  PictureName parts{name.substr(0, begin), name.substr(begin, dot - begin), name.substr(dot)};
  std::from_chars(parts.digits.begin(), parts.digits.end(), parts.number);
  if (parts.number > kMaxPictureNumber) return std::nullopt;
  return parts;
}

/// What an entry of a folder is, wherever a link leads.
enum class EntryKind { kFolder, kFile, kOther };

/// @param type  `d_type` of the entry, which most file systems give without another look
EntryKind kind_of(const fs::path& folder, std::string_view name, unsigned char type) {
  if (type == DT_DIR) return EntryKind::kFolder;
  if (type == DT_REG) return EntryKind::kFile;
  // Pipes and sockets would block whoever opens them.
  if (type != DT_LNK && type != DT_UNKNOWN) return EntryKind::kOther;
  struct stat status {};
  // A link that leads nowhere is listed, so that opening it says so.
  if (stat((folder / name).c_str(), &status) != 0) return EntryKind::kFile;
  if (S_ISDIR(status.st_mode)) return EntryKind::kFolder;
  return S_ISREG(status.st_mode) ? EntryKind::kFile : EntryKind::kOther;
}

/// What the entries of one folder are. Whatever order they come in, it is the same in the end.
struct FolderContents {
  std::vector<std::string> folders;                ///< names
  std::vector<std::string> videos;                 ///< names
  std::int64_t others = 0, archives = 0;           ///< files; archives are among the others
  std::int64_t pictures = 0;                       ///< numbered ones, flow left out
  std::optional<std::string> picture_prefix;       ///< of one picture
  bool has_one_prefix = true;                      ///< of all pictures
  std::pair<std::int64_t, std::string> lowest;     ///< number and suffix of a picture
  std::pair<std::int64_t, std::size_t> filled_up;  ///< number and width of the lowest with zeros

  bool is_of_pictures() const {
    return pictures > 0 && folders.empty() && videos.empty() && has_one_prefix;
  }

  void note_picture(const PictureName& parts) {
    const std::pair<std::int64_t, std::string> place(parts.number, parts.suffix);
    if (pictures++ == 0) {
      picture_prefix = parts.prefix;
      lowest = place;
    }
    has_one_prefix &= parts.prefix == *picture_prefix;
    lowest = std::min(lowest, place);
    if (parts.digits.size() > 1 && parts.digits[0] == '0') {
      const std::pair width(parts.number, parts.digits.size());
      if (filled_up.second == 0 || width < filled_up) filled_up = width;
    }
  }

  /// How the pictures are called, and where they begin.
  PictureSequence sequence() const {
    return {.prefix = *picture_prefix,
            .digits = static_cast<int>(filled_up.second),
            .suffix = lowest.second,
            .first_number = lowest.first};
  }
};

/// Notes one entry of a folder.
void note(const fs::path& folder, std::string_view name, unsigned char type,
          FolderContents& contents) {
  const auto picture = picture_name(name);
  // A look at each of a hundred thousand pictures would take minutes on a file system that says
  // nothing of kinds by itself, or where they are links.
  const bool is_one_more = picture && type != DT_DIR && contents.pictures >= kPicturesLookedAt &&
                           contents.is_of_pictures();
  const EntryKind kind = is_one_more ? EntryKind::kFile : kind_of(folder, name, type);
  if (kind == EntryKind::kFolder) {
    contents.folders.emplace_back(name);
  } else if (kind == EntryKind::kFile && has_media_extension(name)) {
    contents.videos.emplace_back(name);
  } else if (kind == EntryKind::kFile && picture && !picture->prefix.starts_with("flow")) {
    contents.note_picture(*picture);
  } else {
    ++contents.others;
    if (is_among(kArchives, name)) ++contents.archives;
  }
}

/// Notes all entries of a folder but those that begin with a dot: to the end, since what makes
/// pictures thumbnails may stand last.
std::error_code read(const fs::path& folder, FolderContents& contents) {
  const CPtr<DIR, ::closedir> listing(::opendir(folder.c_str()));
  if (listing == nullptr) return {errno, std::generic_category()};
  while (true) {
    errno = 0;
    const dirent* entry = ::readdir(listing.get());
    if (entry == nullptr) return {errno, std::generic_category()};
    const std::string_view name = entry->d_name;
    if (!name.starts_with('.')) note(folder, name, entry->d_type, contents);
  }
}

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
    std::ranges::sort(tree_.picture_folders, {}, &FoundPictures::path);
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
    if (const auto error = read(path, contents)) return unreadable(folder, error.message());
    take(folder, contents);
    std::vector<std::string> folders;
    for (const std::string& name : contents.folders) folders.push_back(joined(folder, name));
    std::ranges::sort(folders);
    if (folder.empty()) tree_.top_folders = folders;
    return folders;
  }

  void take(const std::string& folder, const FolderContents& contents) {
    tree_.other_files += contents.others;
    tree_.archives += contents.archives;
    const bool is_numbered = std::ranges::any_of(contents.videos, [](const std::string& name) {
      return std::ranges::all_of(fs::path(name).stem().string(), is_digit);
    });
    if (has_media_extension(folder) && is_numbered) {
      tree_.piece_folders.push_back(folder);
      return;
    }
    if (has_media_extension(folder)) tree_.file_like_folders.push_back(folder);
    for (const std::string& name : contents.videos) tree_.files.push_back(joined(folder, name));
    if (contents.is_of_pictures()) {
      tree_.picture_folders.push_back({folder, contents.sequence()});
    } else {
      tree_.other_files += contents.pictures;
    }
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

std::optional<PictureSequence> pictures_of(const fs::path& folder) {
  FolderContents contents;
  if (read(folder, contents) || !contents.is_of_pictures()) return std::nullopt;
  return contents.sequence();
}

std::string picture_names_text(const PictureSequence& pictures) {
  const std::string number =
      pictures.digits > 0 ? fmt::format("%0{}d", pictures.digits) : std::string("%d");
  return fmt::format("{}{}{} from {}, {} a second", pictures.prefix, number, pictures.suffix,
                     pictures.first_number, pictures.fps);
}

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
