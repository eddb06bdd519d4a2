// A part back into memory, clip by clip.
//
//   PartReader part(folder / "part-00000.h5");
//   for (std::int64_t i = 0; i < part.clips();) {
//     const std::vector<ClipResult> row = part.read_row(i);
//     statistics.add(row);
//     i += row.size();
//   }
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <vector>

#include "results/store/part_header.h"
#include "stages/core/clip.h"
#include "stages/core/pyramid.h"

namespace cfp {

/// Reads one part. A file that is damaged, made by something else or made to do harm is refused
/// with a SystemError; memory is bounded before anything is read.
///
/// Not for two threads at once, nor beside a writer or another reader in another thread.
class PartReader {
 public:
  /// @throws SystemError no such file, not a part, another schema version, shapes that disagree
  explicit PartReader(std::filesystem::path path);
  ~PartReader();
  PartReader(PartReader&&) noexcept;
  PartReader& operator=(PartReader&&) noexcept;

  const PartHeader& header() const;
  std::int64_t clips() const;
  std::int64_t failures() const;
  bool has_edges() const;
  bool has_tubes() const;

  /// @return the manifest's row of each clip: entry i is that of read(i)
  /// @throws SystemError the file is damaged there
  std::vector<std::int64_t> rows() const;
  /// @return the manifest's row of each failure: entry i is that of read_failure(i)
  /// @throws SystemError the file is damaged there
  std::vector<std::int64_t> failure_rows() const;

  /// @param index  0..clips()-1, the position in the part (not the manifest's row)
  /// @throws SystemError the file is damaged there
  ClipResult read(std::int64_t index) const;

  /// @param first  position of the first clip of a row
  /// @return that clip, and those behind it that are further views of the same row
  /// @throws SystemError the file is damaged there
  std::vector<ClipResult> read_row(std::int64_t first) const;

  /// @param index  0..failures()-1
  /// @throws SystemError the file is damaged there
  Failure read_failure(std::int64_t index) const;

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace cfp
