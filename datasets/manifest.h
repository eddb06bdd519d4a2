// What a data set comes down to: one row a clip, and the names of the classes.
//
// Made by load_dataset() (dataset.h), written beside the results of a run, and read again by
// resumed runs and by the shards of a cluster, which thereby agree on what row 17 is.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "stages/core/clip.h"

namespace cfp {

/// One of several questions that a data set's labels answer: verb, noun, action.
struct LabelHead {
  std::string name;
  std::vector<std::string> class_names;  ///< by label, in the publisher's order

  bool operator==(const LabelHead&) const = default;
};

/// Files about a clip besides its frames. Read by gaze.h and boxes.h; nothing computes with them.
struct ClipReferences {
  std::string gaze;   ///< file of gaze samples of the clip's video; empty: none
  std::string boxes;  ///< CSV of boxes; empty: none
  std::string masks;  ///< folder of masks; empty: none

  bool operator==(const ClipReferences&) const = default;
};

/// What probing found in a row's media.
struct MediaFacts {
  std::int64_t bytes = 0;
  std::int64_t modified_s = 0;  ///< seconds since 1970
  int width = 0, height = 0;    ///< pixels, upright
  double duration_s = 0;        ///< of the whole file or folder
  double fps = 0;               ///< average

  bool operator==(const MediaFacts&) const = default;
};

/// A clip, and what else the data set says of it. `label` is that of the head in use.
struct ManifestRow : ClipRequest {
  std::vector<std::optional<int>> labels;  ///< one a head of the manifest
  ClipReferences references;
  std::optional<MediaFacts> facts;  ///< absent: not probed

  bool operator==(const ManifestRow&) const = default;
};

struct Manifest {
  std::vector<ManifestRow> rows;         ///< `row` counts from 0 without gaps; `clip_id` is unique
  std::vector<LabelHead> heads;          ///< empty where the data set asks one question alone
  std::vector<std::string> class_names;  ///< by label; empty where the data set gives numbers alone
  std::string dataset;     ///< type of the published data set that the clips are of, `kinetics400`;
                           ///< empty: not known, as of a list or a folder
  std::string provenance;  ///< where the rows come from and what was passed over, in words
  std::vector<std::string> notes;  ///< what was found on disk, a line each, for people

  /// The name of a row's class; empty for unlabelled rows and where names are not known.
  const std::string& class_name(const ClipRequest& row) const;

  /// FNV-1a of all rows with their class names: equal hashes mean equal work. Does not depend on
  /// the provenance, nor on classes without clips.
  std::uint64_t hash() const;
};

/// Checks that rows count from 0, that clip ids are unique and not empty, and that labels have a
/// name where there are names.
/// @throws ConfigError naming the row
void check_manifest(const Manifest& manifest);

/// Writes `row,clip_id,path,start_s,end_s,label,class_name` as CSV, and where some row needs them
/// the columns that docs/datasets.md lists: labels of all heads, data set, pictures, pieces,
/// references, status and message of a problem, and what probing found. Absent values are empty
/// fields. The file is whole or not there.
/// @throws SystemError it cannot be written
void write_manifest(const std::filesystem::path& path, const Manifest& manifest);

/// Makes all paths absolute, so that the manifest means the same wherever it is read.
///
/// `.` and doubled slashes go, links stay. `..` stays, too: behind a link it leads elsewhere than
/// the text says.
void make_paths_absolute(Manifest& manifest);

/// Reads what write_manifest() wrote; the hash is that of the manifest written.
///
/// Names of classes that no row has are not in the file: they come back empty, and none beyond the
/// highest label. Of problems come back `duplicate`, which no look at the media can change, and
/// `missing` where there still is nothing. All others were what an earlier look into the media
/// found, with another config perhaps, and are for the next one to find again.
/// @throws ConfigError `file:line: why`
Manifest read_manifest(const std::filesystem::path& path);

}  // namespace cfp
