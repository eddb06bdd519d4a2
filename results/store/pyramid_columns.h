// The datasets of the pyramids of a part: /layers, /pyramid, /additions, /tubes. Private to this
// room.
#pragma once

#include <memory>
#include <string>

#include "results/store/column.h"
#include "results/store/hdf5.h"
#include "results/store/part_header.h"
#include "stages/core/pyramid.h"

namespace cfp::hdf5 {

/// Appends the pyramids of clips that all have the layers of the first one.
class PyramidColumns {
 public:
  /// Creates all datasets.
  /// @param root   of the file
  /// @param first  fixes layers, additions, sizes and the number of targets
  /// @throws SystemError the disk is full or fails
  /// @throws std::logic_error the first clip has no target, or its targets differ in their layers
  PyramidColumns(const ColumnFile& file, hid_t root, const ClipResult& first);
  ~PyramidColumns();

  /// @throws std::logic_error something has another name or size than in the first clip
  void check_fits(const ClipResult& clip) const;
  /// @throws SystemError the disk is full or fails
  void append(const ClipResult& clip);
  void flush();

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace cfp::hdf5
