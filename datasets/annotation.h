// What an annotation says of its clips, before any media file is looked for.
//
// The adapters (kinetics.cpp, ucf101.cpp, hmdb51.cpp, epic55.cpp, epic100.cpp, egtea.cpp) read the
// publishers' files into an Annotation; find_clips() (media_index.h) makes a manifest of it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "datasets/dataset.h"
#include "datasets/manifest.h"

namespace cfp {

/// A name under which a clip's frames may lie, and which part of what lies there is the clip.
struct MediaName {
  std::string stem;        ///< of a video file, or name of a folder of pictures; no extension
  std::string short_stem;  ///< a shorter name that will do; compared with Annotation::shorten
  std::optional<double> start_s, end_s;  ///< part of a longer video; absent: all of it
  /// Part of a longer folder of pictures, in the publisher's numbers, which count from 1: the first
  /// picture, and one behind the last; absent: those of the times above.
  std::optional<std::int64_t> start_picture, stop_picture;
  double picture_fps = 25;  ///< rate at which such pictures were taken from the video
};

/// One row of an annotation.
struct AnnotatedClip {
  std::string clip_id;           ///< the publisher's name for it
  std::vector<MediaName> names;  ///< best first
  std::string usual_path;        ///< where the publisher has it, below the data root
  std::string group;  ///< what folders may be called after: a class, a participant, a session
  std::vector<std::optional<int>> labels;  ///< one a head; absent: unlabelled
};

struct Annotation {
  std::string source;  ///< in words, for the provenance: `ucf101 test split 1 (…/x.txt)`
  std::vector<LabelHead> heads;  ///< at least one
  std::vector<AnnotatedClip> clips;
  std::string group_word = "class";  ///< what AnnotatedClip::group is
  /// Makes the short name of a file's stem; null: files have none.
  std::string (*shorten)(std::string_view stem) = nullptr;
  /// Whether a file that has a clip's short name may be that clip, by their stems; null: always.
  bool (*fits)(std::string_view stem, std::string_view clip_stem) = nullptr;
  std::string short_word = "short name";  ///< what a short name is
  /// Whether two stems that differ in upper and lower case alone are the same.
  bool ignores_case = true;
};

/// The publisher's annotation files: a folder of them, or one of them by name.
class AnnotationFiles {
 public:
  /// Those of `annotations`, or of `data_root` where that is not given.
  /// @throws ConfigError there is no such file or folder
  explicit AnnotationFiles(const DatasetOptions& options);

  /// Finds the main file. Others are then looked for beside it, too, as the CVDF and others have
  /// them in a folder `annotations`.
  /// @param names  of files relative to the folder, best first. Where `annotations` is a file
  ///               itself, it is what was meant
  /// @throws ConfigError none of them is there; the message lists them
  std::filesystem::path find(const std::vector<std::string>& names);

  /// Refuses an `annotations` that is a file with the publisher's name for another split.
  /// @param official  names of the files of all splits
  /// @param wanted    that of the split asked for
  /// @throws ConfigError it is one of the others
  void refuse_other_split(const std::vector<std::string>& official,
                          const std::string& wanted) const;

  /// As find(), for files that stand beside the main one.
  std::filesystem::path find_beside(const std::vector<std::string>& names) const;
  std::optional<std::filesystem::path> find_if_there(const std::vector<std::string>& names) const;

  /// Whether `annotations` is a single file with this extension, in lower case: `.json`.
  bool is_file_of(std::string_view extension) const;
  const std::filesystem::path& place() const { return place_; }

 private:
  std::filesystem::path place_;
  std::vector<std::filesystem::path> folders_;  ///< that files are looked for in, best first
  bool is_file_ = false;
};

/// @return the one of `allowed` that `given` is; the first where nothing is given
/// @throws ConfigError it is none of them
std::string choose(std::string_view key, const std::string& given,
                   const std::vector<std::string>& allowed);

/// Refuses a `class_names` that would decide nothing.
/// @param used  what the classes are, in words
void refuse_class_names(const DatasetOptions& options, std::string_view used);

/// @return the number that stands in a split's name: 1, 2 or 3
/// @throws ConfigError another number
int checked_split_id(int split_id);

}  // namespace cfp
