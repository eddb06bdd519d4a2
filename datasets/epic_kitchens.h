// What EPIC-KITCHENS-55 and -100 have in common: segments of long videos with a verb and a noun.
//
// Note [EPIC's frame numbers]
// start_frame and stop_frame do not count the frames of the video. They are the times in seconds,
// multiplied by 60 for videos PXX_YY and by 50 for PXX_1YY and rounded down (at least 1), whatever
// the video's own rate: numbers of the pictures in the published folders, which were taken at that
// rate and count from 1. So a video is read by the times, and a folder of pictures by the numbers;
// stop_frame itself is not read, as in the publisher's loaders. Pictures taken at another rate,
// which `dataset.picture_fps` states, get their numbers from the times by the same rule.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "datasets/annotation.h"
#include "datasets/csv.h"
#include "datasets/dataset.h"

namespace cfp {

/// @return seconds of `HH:MM:SS.cc`, with any number of decimals
/// @throws ConfigError through the table: it is something else
double epic_seconds(const CsvTable& table, std::string_view column);

/// @return the rate of the published pictures of a video: 50 for PXX_1YY, else 60
double epic_picture_fps(std::string_view video_id);

/// Reads the classes that a short table lists in a column, such as `noun` of
/// EPIC_100_tail_nouns.csv.
std::set<int> read_epic_ids(const std::filesystem::path& path, const std::string& column);

/// What differs between the two data sets.
struct EpicTables {
  std::filesystem::path segments;         ///< the CSV of the split
  std::string id_column;                  ///< of the clip's id
  std::vector<std::string> verbs, nouns;  ///< class names by id
  std::string (*usual_path)(std::string_view participant, std::string_view video,
                            const std::string& split);
  std::string split;
};

/// Reads the segments. Heads are verb, noun and action; an action is a pair of verb and noun, and
/// its labels are the ranks of the pairs that occur in this file, by verb, then noun. Rows of files
/// without classes are unlabelled.
/// @param picture_fps  rate of the picture folders where it is not the published one
/// @throws ConfigError `file:line: why`
Annotation read_epic_segments(const EpicTables& tables, const std::optional<double>& picture_fps);

/// The (verb, noun) of an action's label.
using VerbNoun = std::pair<int, int>;

/// Keeps the clips that `keep` says yes to.
/// @param what  for the source and the error
/// @throws ConfigError none is left
void keep_clips(Annotation& annotation, const std::string& what,
                const std::function<bool(const AnnotatedClip&)>& keep);

}  // namespace cfp
