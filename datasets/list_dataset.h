// Data sets of type `list`: a text file that names clips and labels, in the forms that are around.
//
//   class/clip 1.mp4 0            lines: path, blank, label (MMAction2, SlowFast, pytorchvideo)
//   class/clip 2.mp4<TAB>abseiling
//   0 5 class/clip.mp4            lines: id, label, path (MFNet), split by blanks or tabs
//
//   class/clip 250 0              lines: folder, number of pictures, label (MMAction2's rawframes)
//
//   path,label,start,end          CSV with a header
//   "a, b.mp4",abseiling,12.5,22.5
#pragma once

#include "datasets/dataset.h"

namespace cfp {

/// Reads the list `file`; uses `data_root`, `class_names`, `label_base` and `picture_fps`.
///
/// A `.json` file is kenshohara's (database_json.h), with the `split` asked for; its clips are
/// found by name. Of other files the form is found from the first line that is not empty: CSV when
/// it is a record with a column `path`; id, label, path when it is two integers and a media file's
/// name; else path and label. Empty lines are skipped.
///
/// *Path and label*: split at the last tab; without a tab, after the last word that ends in a
/// media file's extension; without such a word, at the last blank. Paths may hold blanks.
/// *CSV*: columns `path`, `label` (or `class_name`), `start` or `start_s`, `end` or `end_s`
/// (seconds), `clip_id`; only `path` must be there. Other columns are passed over and named in the
/// provenance.
///
/// A label is a number from `label_base` on or a class name, in one list all of one kind. A label
/// that is missing or -1 makes an unlabelled row. Names are found in `class_names` by normalised
/// name; without that file the classes are the names met, sorted by bytes. Numbers without that
/// file leave the manifest without class names.
///
/// *Folder, pictures, label*: a line whose last two words are numbers. The clip is the first so
/// many pictures; where there are fewer, it has the problem `too_short`. In the other forms a path
/// without a media file's extension that is a folder of pictures is a clip of all of them, or of
/// those from `start` to before `end` at picture_fps. How the pictures are called is found in each
/// folder, and stated in the notes.
///
/// Where none of the first 20 clips is where the list has it, data_root is searched for their names
/// (media_index.h): copies with other folders or extensions, or pictures in the place of videos and
/// the reverse.
///
/// Relative paths are relative to data_root, or to the list's folder where data_root is empty.
/// Clip ids are the list's `clip_id`, else path and times; repeated rows get ` #2`, ` #3` and so
/// on.
///
/// @throws ConfigError `file:line: why`
Manifest load_list_dataset(const DatasetOptions& options);

}  // namespace cfp
