// EPIC-KITCHENS-100: the videos of EPIC-55 and 268 new ones, with other class ids.
//
//   narration_id,participant_id,video_id,narration_timestamp,start_timestamp,stop_timestamp,…
//   P01_11_0,P01,P01_11,00:00:00.560,00:00:00.00,00:00:01.89,1,113,take plate,take,0,plate,2,…
#pragma once

#include "datasets/annotation.h"
#include "datasets/dataset.h"

namespace cfp {

/// Reads EPIC_100_validation.csv, _train.csv or _test_timestamps.csv (splits validation, train,
/// test) with EPIC_100_verb_classes.csv and EPIC_100_noun_classes.csv. Clip ids are the narration
/// ids.
///
/// Subset tail keeps the clips whose class, in the head in use, is in EPIC_100_tail_verbs.csv or
/// _nouns.csv; an action is in the tail where its verb or its noun is. Subset unseen keeps the
/// participants of EPIC_100_unseen_participant_ids_<split>.csv. See Note [EPIC's frame numbers].
/// @throws ConfigError `file:line: why`
Annotation read_epic100(const DatasetOptions& options);

}  // namespace cfp
