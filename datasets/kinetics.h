// Kinetics-400, -600 and -700: ten seconds of a YouTube video a row.
//
//   label,youtube_id,time_start,time_end,split,is_cc
//   "air drumming",--nQbRBEz2s,104,114,val,0
#pragma once

#include "datasets/annotation.h"
#include "datasets/dataset.h"

namespace cfp {

/// Reads `<split>.csv` (splits val, train, test) as DeepMind, CVDF and the ActivityNet crawler
/// publish it, or kenshohara's JSON where `annotations` names a `.json` file.
///
/// Columns are found by name; label, split and is_cc may be missing, times may be `417` or `417.0`.
/// Rows of another split are passed over. Without a label a row is unlabelled. Class names are
/// those of `class_names`, else of a `label_map.txt` beside the CSV, else the labels met, sorted by
/// bytes, which is the order of all published maps of Kinetics-400; of a file without labels those
/// of the val or train CSV beside it.
///
/// Files are found by `<id>_<start:06>_<end:06>`, then by the 11 characters of the id, unless their
/// name gives other times. They are the trimmed clips: times are part of their names and not looked
/// up in them.
/// @param classes  400, 600 or 700: part of the names that annotation files may have
/// @throws ConfigError `file:line: why`
Annotation read_kinetics(const DatasetOptions& options, int classes);

}  // namespace cfp
