// From what a config says of a data set to its rows: the entrance to this folder.
//
//   const Manifest manifest = load_dataset({.type = "folder", .data_root = "/data/clips"});
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "datasets/manifest.h"
#include "datasets/moving_shapes.h"

namespace cfp {

/// Which rows of a data set are kept, and in which order.
struct DatasetSelect {
  std::vector<std::string> classes;  ///< by name, or by number where there are no names; empty: all
  int max_per_class = 0;       ///< the first so many rows of each class; 0: all. Rows without a
                               ///< label count as one more class
  std::int64_t max_clips = 0;  ///< the first so many of all; 0: all
  bool shuffled = false;       ///< rows come in an order that the seed decides: "the first"
                               ///< are then a fair sample
  std::uint64_t seed = 0;
};

/// Which kind of media a clip is read from.
enum class MediaKind {
  kAny,       ///< a video where there is one, else pictures
  kVideo,     ///< videos alone
  kPictures,  ///< folders of pictures alone
};

/// The config's `dataset:` section. Each type reads the members that its adapter's header names.
struct DatasetOptions {
  std::string type;         ///< one of dataset_types()
  std::string data_root;    ///< folder of the media
  std::string file;         ///< `list`: the list
  std::string class_names;  ///< `folder`, `list`, kinetics: file of class names; may be empty
  std::string annotations;  ///< the publisher's annotation file, or the folder of them
  std::string split;        ///< empty: the adapter's first
  int split_id = 1;         ///< of data sets with several splits: 1, 2 or 3
  std::string head;         ///< of several labels: verb, noun or action; empty: the adapter's
                            ///< first, of a `manifest` the one in use when it was written
  std::string subset;       ///< many_shot, tail, unseen; empty: all
  MediaKind media = MediaKind::kAny;
  std::optional<double> picture_fps;  ///< rate of picture folders; absent: the data set's usual one
  std::string gaze_root;              ///< folder of gaze files, see ClipReferences; may be empty
  std::string boxes;                  ///< CSV of boxes; may be empty
  std::string masks_root;             ///< folder of folders of masks; may be empty
  int label_base = 0;                 ///< `list`: number of the first class, 0 or 1
  MovingShapesOptions moving_shapes;  ///< `moving_shapes`
  DatasetSelect select;
};

/// @return the names that `type` may have, sorted
std::vector<std::string> dataset_types();

/// Finds the rows of a data set; makes the clips of `moving_shapes` where they are missing.
///
/// Media files are not opened: a row whose file is missing or broken fails when it is decoded.
/// @return a manifest of at least one row that satisfies check_manifest()
/// @throws ConfigError what the user must edit, as `file:line: why` where a file is wrong
/// @throws SystemError the clips of `moving_shapes` cannot be written
Manifest load_dataset(const DatasetOptions& options);

/// Keeps the rows that `select` asks for and numbers them anew; labels and class names stay.
/// @throws ConfigError no such class, a negative number, or nothing left
Manifest select_rows(Manifest manifest, const DatasetSelect& select);

}  // namespace cfp
