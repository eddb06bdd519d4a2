// Which files are media, and all of those below a folder.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "stages/core/clip.h"

namespace cfp {

/// @return whether the name ends in the extension of a video file, in either case: `clip.MP4`
bool has_media_extension(std::string_view name);

/// @return the extensions that has_media_extension() knows, for messages: `.avi, .flv, …`
std::string media_extensions_text();

/// The highest number of a picture: what a manifest can hold, with room for one behind it.
inline constexpr std::int64_t kMaxPictureNumber = 999'999'999'999;

/// A folder of numbered pictures, as it was found.
struct FoundPictures {
  std::string path;          ///< relative to the root
  PictureSequence pictures;  ///< naming and first number; the rate is not known from the files
};

struct MediaTree {
  std::vector<std::string> files;              ///< videos, relative to the root, sorted by bytes
  std::vector<std::string> top_folders;        ///< the root's own sub-folders, sorted by bytes
  std::vector<FoundPictures> picture_folders;  ///< sorted by path
  std::vector<std::string> piece_folders;  ///< videos cut up: `P01_01.MP4/` of 0.MP4, 15.MP4, …
  std::vector<std::string> file_like_folders;   ///< called like a video, but none of the above
  std::vector<std::string> unreadable_folders;  ///< with the reason behind a colon
  std::int64_t other_files = 0;                 ///< files of other extensions, passed over
  std::int64_t archives = 0;  ///< of them, those that may hold frames: .tar, .zip, .hdf5, …
  std::int64_t repeated_folders = 0;  ///< links to folders that were visited already, passed over
};

/// Walks a folder once and finds its media.
///
/// Links are followed, but no folder is visited twice, so loops of links end. Names that begin with
/// a dot are passed over. A link that leads nowhere is listed, so that it is reported as missing.
/// A folder with pictures of one prefix and neither videos nor folders in it is a picture folder.
/// Optical flow (`flow_x_00001.jpg`) is no picture, nor is one of a number above kMaxPictureNumber.
/// Every folder is listed to its end, so the order of its entries does not matter; files are looked
/// at one by one only where the file system does not say by itself what they are.
/// @throws ConfigError the root is no folder or cannot be read
MediaTree find_media(const std::filesystem::path& root);

/// @return how the pictures in a folder are called, and where they begin; absent where it is no
///         picture folder or cannot be read. Folders in it are not visited.
std::optional<PictureSequence> pictures_of(const std::filesystem::path& folder);

/// @return how pictures are called, for people: `img_%05d.jpg from 1, 25 a second`
std::string picture_names_text(const PictureSequence& pictures);

}  // namespace cfp
