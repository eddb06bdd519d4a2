// Data sets of type `folder`: one folder a class, media files below it.
//
//   data_root/
//     abseiling/0wR5jVB-WPk_000417_000427.mp4     label 0
//     air_drumming/take 2/clip.MKV                label 1, files may lie deeper
//     clip.mov                                    no label
#pragma once

#include "datasets/dataset.h"

namespace cfp {

/// Finds the clips of `data_root`; uses `class_names` where it is given.
///
/// The first folder on a file's path below data_root is its class; files in data_root itself have
/// no label. Without `class_names` the classes are the folders' names sorted by bytes, folders
/// without media included; with it they are the file's, and each folder is found there by
/// normalised name. Rows are sorted by path; the clip id is the path below data_root. What counts
/// as media, which links are followed and what is passed over is find_media()'s.
///
/// @throws ConfigError no data_root, no media, a folder that is no class of `class_names`
Manifest load_folder_dataset(const DatasetOptions& options);

}  // namespace cfp
