// A look at a file's texts before HDF5 does. Private to this room.
#pragma once

#include <string>

namespace cfp::hdf5 {

/// Checks every global heap collection of a file, the only structure of a part that has no checksum
/// of its own: HDF5 1.10 walks through it without end, or beyond it, where a length is damaged.
///
/// Reads the file once.
/// @throws SystemError a collection is damaged, or the file cannot be read
void check_heaps(const std::string& path);

}  // namespace cfp::hdf5
