// HMDB-51: one action a clip, three official splits, a file a class and split.
//
//   brush_hair_test_split1.txt   April_09_brush_hair_u_nm_np1_ba_goo_0.avi 1
#pragma once

#include "datasets/annotation.h"
#include "datasets/dataset.h"

namespace cfp {

/// Reads the folder testTrainMulti_7030_splits: the files `<class>_test_split<split_id>.txt`, whose
/// flag says what a clip is for: 1 train, 2 test, 0 unused in this split; `split` is test, train,
/// unused or all. Or kenshohara's JSON where `annotations` names a `.json` file.
///
/// Labels are the ranks of the class names in the order of bytes.
/// @throws ConfigError `file:line: why`; the folder has not 51 files of the split; `class_names`
///                     given without a JSON
Annotation read_hmdb51(const DatasetOptions& options);

}  // namespace cfp
