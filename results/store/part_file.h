// How parts, and what is made of them, begin. Private to this room.
#pragma once

#include <string>

#include "results/store/hdf5.h"
#include "results/store/part_header.h"

namespace cfp::hdf5 {

/// Creates a file that every version of HDF5 from 1.10 on reads, without time stamps.
/// @throws SystemError the disk is full or fails
File create_file(const std::string& path);

/// Opens a part or a merged file to read it. One at a time: closing it closes all that was opened
/// in the file.
/// @throws SystemError it cannot be opened as an HDF5 file
File open_file(const std::string& path);

/// Writes what a file says of its run: attributes, versions, names of classes.
/// @param format  says what the file is: `cfp part`, `cfp merged`
/// @throws SystemError the disk is full or fails
void write_header(const std::string& file, hid_t root, const std::string& format,
                  const PartHeader& header);

}  // namespace cfp::hdf5
