// Moving shapes as video files: made on first use, kept in a folder, made anew when out of date.
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include "datasets/manifest.h"
#include "datasets/moving_shapes.h"

namespace cfp {

/// Where the clips of these options lie: `<data_root>/<split>_<clip_len>x<size>_seed<seed>`.
std::filesystem::path moving_shapes_folder(const MovingShapesOptions& options,
                                           const std::filesystem::path& data_root);

/// The rows of all clips, in order; makes no file.
///
/// Clip ids are `test_00007_blink`: split, index, class; the file is `<clip_id>.mp4`.
/// @throws ConfigError the options are out of range
Manifest moving_shapes_manifest(const MovingShapesOptions& options,
                                const std::filesystem::path& data_root);

/// The index of a clip among those of its options, to draw its mask.
/// @throws ConfigError it is no clip id of moving_shapes_manifest(options, …)
std::int64_t moving_shapes_index(const MovingShapesOptions& options, std::string_view clip_id);

/// Makes those of the clips whose files are not there, or all of them where the folder's stamp
/// names another version of the generator or other options.
///
/// Files appear whole, under their final name; several processes may do this at once.
/// @return how many clips were made
/// @throws SystemError the folder is not writable, the disk is full, no encoder
std::int64_t make_moving_shapes_files(const MovingShapesOptions& options,
                                      const std::filesystem::path& data_root,
                                      const std::vector<std::int64_t>& indices);

}  // namespace cfp
