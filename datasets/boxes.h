// Boxes around objects, and masks of them, that belong to clips.
//
// Boxes are a CSV file with a header, a row a box:
//
//   clip_id,frame,x1_px,y1_px,x2_px,y2_px,label,score,track
//   v_abseiling_g01,0,12,40.5,118,203,person,0.97,1
//
//   clip_id             left out where the file is of one clip
//   frame or time_s     one of the two: frame of the clip's video from 0, or seconds from its start
//   x1_px … or x1_rel … left, top, right and bottom: in pixels of the video, or as parts of its
//                       width and height, 0..1
//   label, score, track may be left out or empty: what it is, how sure the detector was, which
//                       object it is through time
//
// Masks are a folder a clip with a PNG a frame, named by the frame's number from 0 with leading
// zeros: 000000.png, 000001.png, … as `moving_shapes --mask_folders` writes them.
//
//   const BoxFile file = read_boxes("boxes.csv");
//   for (const Box& box : file.boxes_from_clip.at("v_abseiling_g01")) draw(box);
//   for (const auto& [frame, path] : list_masks("masks/v_abseiling_g01")) show(frame, path);
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace cfp {

enum class BoxUnit {
  kPixels,    ///< of the clip's video, upright; may reach over its edges
  kRelative,  ///< parts of its width and height, 0..1
};

struct Box {
  std::optional<std::int64_t> frame;  ///< of the clip's video, from 0; absent where time_s is given
  std::optional<double> time_s;       ///< from the video's start; absent where frame is given
  double x1 = 0, y1 = 0, x2 = 0, y2 = 0;  ///< x1 < x2, y1 < y2, in the file's unit
  std::string label;                      ///< empty: none given
  std::optional<double> score;            ///< any finite number: detectors differ
  std::optional<std::int64_t> track;      ///< from 0

  bool operator==(const Box&) const = default;
};

struct BoxFile {
  BoxUnit unit = BoxUnit::kPixels;
  /// By clip id, `""` where the file has no clip_id column; each ordered by frame or time, boxes of
  /// one frame as in the file.
  std::map<std::string, std::vector<Box>> boxes_from_clip;
};

/// Reads a CSV of boxes.
/// @throws ConfigError `file:line: why`: columns are missing, doubled or unknown, a value is no
///         number or out of range, a box without area
BoxFile read_boxes(const std::filesystem::path& path);

/// The masks of a clip, by frame.
///
/// Hidden files are passed over. Frames may be missing: there is no mask of them. Nothing is
/// opened but the first bytes, which must be those of a PNG.
/// @return path of each mask by its frame number; empty where the folder is
/// @throws ConfigError no such folder, a file of another name or kind, two files of one frame
std::map<std::int64_t, std::filesystem::path> list_masks(const std::filesystem::path& folder);

/// Where the mask of a frame is: `<folder>/000017.png`.
/// @param frame  from 0
std::filesystem::path mask_path(const std::filesystem::path& folder, std::int64_t frame);

}  // namespace cfp
