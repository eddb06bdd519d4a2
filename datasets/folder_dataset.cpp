#include "datasets/folder_dataset.h"

#include <algorithm>
#include <filesystem>

#include <fmt/format.h>

#include "datasets/class_names.h"
#include "datasets/media_files.h"
#include "stages/core/errors.h"

namespace cfp {
namespace {

/// The class folder of a relative path; empty for a file of the root.
std::string_view class_folder(std::string_view relative) {
  const std::size_t slash = relative.find('/');
  return slash == std::string_view::npos ? std::string_view{} : relative.substr(0, slash);
}

/// A clip of the tree: a video, pieces of one, or pictures.
struct FoundClip {
  std::string path;  ///< relative to the root
  std::optional<PictureSequence> pictures;
  bool in_pieces = false;
};

/// All clips, sorted by path.
std::vector<FoundClip> clips_of(const MediaTree& tree, const DatasetOptions& options) {
  std::vector<FoundClip> clips;
  if (options.media != MediaKind::kPictures) {
    for (const std::string& file : tree.files) clips.push_back({.path = file});
    for (const std::string& folder : tree.piece_folders) {
      clips.push_back({.path = folder, .in_pieces = true});
    }
  }
  if (options.media != MediaKind::kVideo) {
    for (const FoundPictures& folder : tree.picture_folders) {
      FoundClip& clip = clips.emplace_back(FoundClip{folder.path, folder.pictures});
      if (options.picture_fps) clip.pictures->fps = *options.picture_fps;
    }
  }
  std::ranges::sort(clips, {}, &FoundClip::path);
  return clips;
}

std::string describe(const DatasetOptions& options, const MediaTree& tree,
                     const Manifest& manifest) {
  const auto unlabelled = std::ranges::count_if(
      manifest.rows, [](const ClipRequest& row) { return !row.label.has_value(); });
  std::string text = fmt::format("folder {}: {} clips in {} class folders", options.data_root,
                                 manifest.rows.size(), tree.top_folders.size());
  if (unlabelled > 0) text += fmt::format(", {} without a label", unlabelled);
  if (tree.other_files > 0) text += fmt::format(", {} other files passed over", tree.other_files);
  if (tree.repeated_folders > 0) {
    text += fmt::format(", {} links to folders met before passed over", tree.repeated_folders);
  }
  return text;
}

}  // namespace

Manifest load_folder_dataset(const DatasetOptions& options) {
  if (options.data_root.empty()) {
    throw ConfigError("a data set of type folder needs data_root, the folder of the class folders");
  }
  const MediaTree tree = find_media(options.data_root);
  if (!tree.unreadable_folders.empty()) {
    throw ConfigError(fmt::format("{}: a folder cannot be read: {}", options.data_root,
                                  tree.unreadable_folders.front()));
  }
  const std::vector<FoundClip> clips = clips_of(tree, options);
  if (clips.empty()) {
    throw ConfigError(
        fmt::format("{}: no media file in it or below, and no folder of pictures; known are {}",
                    options.data_root, media_extensions_text()));
  }

  Manifest manifest;
  std::vector<int> label_of_folder(tree.top_folders.size());
  if (options.class_names.empty()) {
    manifest.class_names = tree.top_folders;
    for (std::size_t i = 0; i < label_of_folder.size(); ++i) {
      label_of_folder[i] = static_cast<int>(i);
    }
  } else {
    manifest.class_names = read_class_list(options.class_names);
    label_of_folder = join_class_names(
        tree.top_folders, manifest.class_names,
        fmt::format("folders of {}, looked up in {}", options.data_root, options.class_names));
  }

  for (const FoundClip& clip : clips) {
    ManifestRow& row = manifest.rows.emplace_back();
    row.row = static_cast<std::int64_t>(manifest.rows.size()) - 1;
    row.clip_id = clip.path;
    row.media.path = (std::filesystem::path(options.data_root) / clip.path).string();
    row.media.pictures = clip.pictures;
    row.media.in_pieces = clip.in_pieces;
    if (const std::string_view folder = class_folder(clip.path); !folder.empty()) {
      const auto found = std::ranges::lower_bound(tree.top_folders, folder);
      row.label = label_of_folder.at(static_cast<std::size_t>(found - tree.top_folders.begin()));
    }
  }
  manifest.provenance = describe(options, tree, manifest);
  return manifest;
}

}  // namespace cfp
