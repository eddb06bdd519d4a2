// Explained clips into one HDF5 file, appended in manifest order; docs/results.md has the layout.
//
//   PartWriter part(folder / "part-00000.h5", header, {.edges = true, .tubes = true});
//   for (…) part.append(result);   // or part.append_failure(failure)
//   part.finish();                 // until here nothing has the final name
//
// HDF5 is not thread-safe: one thread at a time may use any writer or reader of a process.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>

#include "results/store/part_header.h"
#include "stages/core/clip.h"
#include "stages/core/pyramid.h"

namespace cfp {

/// Writes one part, with memory bounded by one chunk a dataset however many clips there are.
class PartWriter {
 public:
  /// @throws SystemError the folder cannot be written
  PartWriter(std::filesystem::path path, const PartHeader& header, StoreOptions options = {});
  /// Removes the unfinished file, where finish() has not been reached.
  ~PartWriter();
  PartWriter(PartWriter&&) noexcept;
  PartWriter& operator=(PartWriter&&) noexcept;

  /// Adds a row. The first one fixes the layers, their sizes, the number of classes, frames and
  /// targets for all that follow.
  ///
  /// @throws SystemError the disk is full or fails, or a string holds a zero byte
  /// @throws std::logic_error the clip does not fit the first one, or a row comes out of order
  void append(const ClipResult& clip);

  /// Adds a row of /failures.
  /// @throws SystemError as append()
  void append_failure(const Failure& failure);

  std::int64_t clips() const;
  std::int64_t failures() const;

  /// Writes what is buffered, closes and syncs the file, and gives it its final name.
  /// @throws SystemError the disk is full or fails
  void finish();

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace cfp
