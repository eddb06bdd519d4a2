// Tubes drawn over the frames of explained clips, as videos, frames and contact sheets.
//
//   const FinishedRun run("work_dirs/demo");
//   render_clips(run, run.clips(), {.depth = 5}, run.folder() / "overlays", print);
//
// Pictures have the size of the clip as the network saw it, after resizing and cropping, so that a
// cell of a tube lies over the very pixels it speaks of.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "pipeline/run/finished_run.h"
#include "pipeline/run/run_log.h"

namespace cfp {

/// Layers that are drawn where none are asked for: evenly spread over the depths.
inline constexpr int kUsualLayers = 4;

struct RenderOptions {
  std::vector<std::string> layers;  ///< by name; empty: by depth
  std::optional<int> depth;         ///< layers of depth up to it; unset: kUsualLayers of all
  int target = 0;                   ///< position among the targets of a clip
  bool heat = true;                 ///< colours over the frame
  bool focus = true;                ///< the frame, dark where it is not relevant
  bool mp4 = true;
  bool png = true;
  bool sheet = false;  ///< a contact sheet a layer: frames, heat, focus
};

struct RenderSummary {
  int clips = 0;     ///< rendered
  int failed = 0;    ///< whose media are gone or changed
  int files = 0;     ///< videos, folders of frames, sheets
  int constant = 0;  ///< tubes in which there is nothing to draw
};

/// Renders clips one after the other into `folder`, and lists the files in its listing.csv.
///
/// @param say  takes a line at a time, for the terminal
/// @throws ConfigError a layer or target that is not there, or a layer without a tube
/// @throws SystemError disk, encoder, or a part is damaged
RenderSummary render_clips(const FinishedRun& run, const std::vector<StoredClip>& clips,
                           const RenderOptions& options, const std::filesystem::path& folder,
                           const std::function<void(const std::string&)>& say);

/// Draws the tubes of the first clips of a finished run, of each row its first view, as many as
/// `output.render` says.
void render_first(const std::filesystem::path& folder, int clips, RunLog& log);

}  // namespace cfp
