// Reading of /layers, /pyramid, /additions and /tubes. Private to this room.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "results/store/column.h"
#include "stages/core/pyramid.h"

namespace cfp::hdf5 {

/// @return `column` itself
/// @throws SystemError it has another number of rows than `rows`
const ColumnReader& with_rows(const ColumnReader& column, std::uint64_t rows);

/// @throws SystemError a row of the column has another shape
void require_shape(const ColumnReader& column, const std::vector<hsize_t>& shape);

/// @return every text of a column with one a row
/// @throws SystemError there are more than a part has names for
std::vector<std::string> read_all_texts(const ColumnReader& column);

/// The pyramids of a part, opened and checked, read clip by clip.
class PyramidReader {
 public:
  /// @param file  for error messages
  /// @param root  of the file
  /// @throws SystemError something is missing, or its shape does not fit the rest
  PyramidReader(const std::string& file, hid_t root, std::uint64_t clips, std::uint64_t targets,
                ReadGuard& guard);
  ~PyramidReader();

  /// Fills method, layers and additions.
  /// @param pyramids  one a target
  /// @throws SystemError the file is damaged there
  void read(std::uint64_t index, std::vector<Pyramid>& pyramids) const;

  bool has_edges() const;
  bool has_tubes() const;

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace cfp::hdf5
