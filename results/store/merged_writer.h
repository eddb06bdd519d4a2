// All parts of a run behind one file: where each clip is, and the parts themselves, as links or
// copied; docs/results.md has the layout.
//
//   MergedWriter merged(folder / "merged.h5", header, PartsAs::kLinks);
//   for (…) {
//     merged.add_part("00000-of-00004_part-00000", file, "shards/00000-of-00004/part-00000.h5");
//     for (…) merged.add_clip({.row = 0, .clip_id = "a", …});
//   }
//   merged.finish();
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "results/store/part_header.h"
#include "stages/core/pyramid.h"

namespace cfp {

/// How the parts come into the file.
enum class PartsAs {
  kLinks,  ///< external links, relative to the file: a few bytes, and the parts must stay
  kCopies  ///< everything, in one file
};

/// For one thread at a time, as all of HDF5.
class MergedWriter {
 public:
  /// @throws SystemError the disk is full or fails
  MergedWriter(std::filesystem::path path, const PartHeader& header, PartsAs parts_as);
  /// Removes the unfinished file, where finish() has not been reached.
  ~MergedWriter();
  MergedWriter(const MergedWriter&) = delete;
  MergedWriter& operator=(const MergedWriter&) = delete;

  /// @param name  of the part in the file
  /// @param part  the file
  /// @param link  its path seen from the folder of the merged file
  /// @throws SystemError the disk is full or fails, or the part cannot be read
  void add_part(const std::string& name, const std::filesystem::path& part,
                const std::string& link);
  /// Adds a clip of the part added last.
  /// @param index  in that part
  /// @throws SystemError the disk is full or fails
  void add_clip(const ClipResult& clip, std::int64_t index);

  /// Copies the parts, closes and syncs the file, and gives it its final name. Nobody may have a
  /// part open.
  /// @throws SystemError the disk is full or fails
  void finish();

 private:
  struct Columns;
  std::filesystem::path path_;
  std::string temporary_;
  PartsAs parts_as_;
  std::vector<std::pair<std::string, std::string>> copies_;  ///< name and file of each part
  bool finished_ = false;
  std::unique_ptr<Columns> columns_;
};

}  // namespace cfp
