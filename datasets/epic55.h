// EPIC-KITCHENS-55 (2018): segments of kitchen videos; labels of the test sets were withheld.
//
//   uid,participant_id,video_id,narration,start_timestamp,stop_timestamp,start_frame,stop_frame,…
//   0,P01,P01_01,open door,00:00:00.14,00:00:03.37,8,202,open,2,door,8,['door'],[8]
#pragma once

#include "datasets/annotation.h"
#include "datasets/dataset.h"

namespace cfp {

/// Reads EPIC_train_action_labels.csv (split train) or EPIC_test_s1/s2_timestamps.csv (test_s1,
/// test_s2) with EPIC_verb_classes.csv and EPIC_noun_classes.csv. Clip ids are the uids.
///
/// Subset many_shot keeps the clips whose class, in the head in use, is in
/// EPIC_many_shot_verbs.csv, _nouns.csv or _actions.csv. See Note [EPIC's frame numbers].
/// @throws ConfigError `file:line: why`
Annotation read_epic55(const DatasetOptions& options);

}  // namespace cfp
