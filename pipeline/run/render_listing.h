// The list of rendered files beside them: listing.csv, kept up to date from call to call.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "stages/core/clip.h"
#include "stages/core/pyramid.h"

namespace cfp {

/// One line of the listing: a video, a folder of frames, a contact sheet; or a clip that failed.
struct RenderedFile {
  std::string file;  ///< below the folder of the listing, with `/`; a folder ends in one
  std::string clip_id;
  int view = 0;
  std::string layer;
  int depth = 0;
  int target = 0;  ///< position of the target, from 0
  int class_index = 0;
  std::string class_name;
  std::string style;  ///< `heat`, `focus`, `sheet`
  std::int64_t frames = 0, width_px = 0, height_px = 0;
  std::string tube_size;  ///< `2x7x7`: frames, height, width
  float minimum = 0, maximum = 0;
  std::string status;  ///< `drawn`, `constant`, `not finite`
};

class RenderListing {
 public:
  /// Reads the listing of earlier calls, where there is one; lines whose file is gone are dropped.
  /// @throws ConfigError the file is there and no listing
  explicit RenderListing(std::filesystem::path folder);

  /// Adds a line, or replaces the one of the same file.
  void add(const RenderedFile& file);
  /// Adds a line for a clip without pictures.
  /// @param clip_folder  where its pictures would be
  void add_failure(const std::string& clip_folder, const ClipResult& clip, FailureReason reason);
  /// Takes the line of add_failure() away again.
  void remove_failure(const std::string& clip_folder) { lines_.erase(clip_folder + "/"); }

  /// Writes the lines, sorted by file.
  /// @throws SystemError the disk is full or fails
  void write() const;

  std::filesystem::path path() const { return folder_ / "listing.csv"; }

 private:
  std::filesystem::path folder_;
  std::map<std::string, std::vector<std::string>> lines_;  ///< fields by file
};

}  // namespace cfp
