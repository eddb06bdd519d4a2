// kenshohara's JSON of Kinetics, UCF-101 and HMDB-51.
//
//   {"labels": ["abseiling", …],
//    "database": {"<clip>": {"subset": "training|validation|testing",
//                            "annotations": {"label": "abseiling", "segment": [1, 251]}}}}
#pragma once

#include <filesystem>
#include <string>

#include "datasets/annotation.h"

namespace cfp {

/// Reads the clips of one split; clip ids and stems are the keys of `database`, in the order of
/// bytes. `segment` is of picture numbers: the first, from 1, and one behind the last. A clip
/// without annotations is unlabelled; annotations that are a list are refused, as is a name that
/// stands twice in an object.
///
/// @param split        train, val or test; UCF-101 and HMDB-51 call their test set `validation`, so
///                     test means that subset where no clip is of subset `testing`
/// @param class_names  file of class names; empty: `labels`, in its order
/// @throws ConfigError `file: why`, naming the clip
Annotation read_database_json(const std::filesystem::path& path, const std::string& split,
                              const std::string& class_names);

}  // namespace cfp
