// Where the clips of an annotation lie on disk: one walk of the tree, whatever its layout.
//
//   const Manifest manifest = find_clips(read_ucf101(options), options);
#pragma once

#include <optional>

#include "datasets/annotation.h"
#include "datasets/dataset.h"

namespace cfp {

/// Looks up every clip below `data_root`.
///
/// A clip is found by the stem of a video file, of a folder of pieces or by the name of a folder of
/// pictures, wherever below data_root it lies and whatever its extension; then by its short name
/// among files that no clip has by its full one. Paths that lead to the same file are one. Of files
/// of the same stem one below a folder `replacement*` or `*_ext` is taken. A clip without a file
/// gets the problem `missing`, one with several `duplicate`, as do a clip that the annotation names
/// twice and different clips that one file would be by its short name; a folder that is called like
/// its file stays what it is, and fails when it is opened.
///
/// @param options  `data_root`, `media`, `picture_fps`, `head`
/// @return  rows in the annotation's order; the label is that of the head in use. Notes say which
///          layout was found, and how many clips are matched, and of them by their short name,
///          missing or ambiguous and how many files are left over
/// @throws ConfigError data_root is no folder or cannot be read
Manifest find_clips(const Annotation& annotation, const DatasetOptions& options);

/// Cuts a folder of pictures at times, as a video would be: the pictures with start <= time < end.
/// What is absent stays as it is.
/// @param pictures  its first number is at 0 seconds
void cut_by_time(const std::optional<double>& start_s, const std::optional<double>& end_s,
                 PictureSequence& pictures);

}  // namespace cfp
