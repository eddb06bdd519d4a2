// Which files are media, and all of those below a folder.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace cfp {

/// @return whether the name ends in the extension of a video file, in either case: `clip.MP4`
bool has_media_extension(std::string_view name);

/// @return the extensions that has_media_extension() knows, for messages: `.avi, .flv, …`
std::string media_extensions_text();

struct MediaTree {
  std::vector<std::string> files;        ///< paths relative to the root, sorted by bytes
  std::vector<std::string> top_folders;  ///< the root's own sub-folders, sorted by bytes
  std::int64_t other_files = 0;          ///< files of other extensions, passed over
  std::int64_t repeated_folders = 0;  ///< links to folders that were visited already, passed over
};

/// Walks a folder once and finds its media files.
///
/// Links are followed, but no folder is visited twice, so loops of links end. Names that begin with
/// a dot are passed over. A link that leads nowhere is listed, so that it is reported as missing.
/// @throws ConfigError the root is no folder, a folder cannot be read
MediaTree find_media(const std::filesystem::path& root);

}  // namespace cfp
