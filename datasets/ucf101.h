// UCF-101: one action a clip, three official splits.
//
//   classInd.txt     1 ApplyEyeMakeup
//   trainlist01.txt  ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c01.avi 1
//   testlist01.txt   ApplyEyeMakeup/v_ApplyEyeMakeup_g01_c01.avi
#pragma once

#include "datasets/annotation.h"
#include "datasets/dataset.h"

namespace cfp {

/// Reads the folder ucfTrainTestlist: classInd.txt and the list of `split` (test, train) and
/// `split_id` (1, 2, 3), or kenshohara's JSON where `annotations` names a `.json` file.
///
/// Labels count from 0 in the order of classInd.txt, which is not that of bytes. The class is the
/// folder in the list: file names spell one class otherwise (v_HandStandPushups_*).
/// @throws ConfigError `file:line: why`; `class_names` given without a JSON
Annotation read_ucf101(const DatasetOptions& options);

}  // namespace cfp
