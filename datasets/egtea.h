// EGTEA Gaze+: trimmed actions of cooking sessions, 106 actions of 19 verbs and 53 nouns.
//
//   P20-R04-ContinentalBreakfast-386426-389597-F009267-F009358 27 11 21 22 3
//   clip: session, milliseconds, frames; action, verb, nouns, all counting from 1
#pragma once

#include "datasets/annotation.h"
#include "datasets/dataset.h"

namespace cfp {

/// Reads the folder action_annotation: test_split<N>.txt or train_split<N>.txt (splits test, train;
/// split_id 1, 2, 3), with action_idx.txt, verb_idx.txt and noun_idx.txt. Heads are action, verb
/// and noun (the first of a clip's nouns); labels count from 0.
///
/// A trimmed clip is found by session and milliseconds, since releases differ in the frame fields
/// of the names. Where there is none, the session's whole video is cut at the frame numbers, which
/// count from 1 at 24 frames a second, both included: in one session frames were taken out, and
/// the milliseconds no longer hold. Pictures of a session have these numbers, or, where they were
/// taken at another rate (`picture_fps`), those of the same time. Pictures of a trimmed clip are
/// all taken.
/// @throws ConfigError `file:line: why`
Annotation read_egtea(const DatasetOptions& options);

}  // namespace cfp
