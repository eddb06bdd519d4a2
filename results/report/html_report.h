// summary.html: a run's tables, and for some clips frames beside their tubes; one file, no scripts.
//
//   HtmlReport report({.max_examples = 12},
//                     [](auto* rgb, int w, int h) { return encode_jpeg(rgb, w, h); });
//   if (report.wants(result)) report.add_example(clip, result);
//   report.write(folder / "summary.html", statistics);
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "results/statistics/run_statistics.h"
#include "stages/core/clip.h"
#include "stages/core/pyramid.h"

namespace cfp {

/// Packs an RGB picture [height, width, 3] as JPEG or PNG.
using ImageEncoder =
    std::function<std::vector<std::uint8_t>(const std::uint8_t* rgb, int width, int height)>;

struct HtmlReportOptions {
  int max_examples = 12;      ///< clips that are pictured: of all classes if there is room, then
                              ///< the first ones
  int frames = 6;             ///< pictured of a clip, evenly spread
  int max_layers = 4;         ///< tubes pictured of a clip, evenly spread over the depths
  int frame_height_px = 112;  ///< larger frames are shrunk to this height
};

/// Gathers some clips during a run, as packed pictures, and writes the page at its end.
class HtmlReport {
 public:
  HtmlReport(HtmlReportOptions options, ImageEncoder encode);

  /// @return whether add_example() would keep this clip; needs no frames
  bool wants(const ClipResult& result) const;
  /// Pictures a clip, where wants() says so; nothing else. Where there is no room, a class that
  /// comes for the first time takes the place of the last clip of the class pictured most often.
  void add_example(const Clip& clip, const ClipResult& result);

  /// @throws SystemError the disk is full or fails
  void write(const std::filesystem::path& path, const RunStatistics& statistics) const;

 private:
  struct TubeStrip {
    std::string layer;
    int depth = 0;
    std::string caption;    ///< size and range of the tube, or why nothing is drawn
    std::string image_uri;  ///< `data:…`, the frames under the tube
  };
  struct Example {
    std::string clip_id, path;
    int view = 0, views = 1, label = -1, prediction = 0, target_class = 0;
    double probability = 0, target_value = 0;
    std::vector<double> times_s;  ///< of the frames pictured
    int strip_width_px = 0;       ///< as shown
    std::string frames_uri;
    std::vector<TubeStrip> tubes;
  };

  bool is_full() const { return static_cast<int>(examples_.size()) >= options_.max_examples; }
  /// The class pictured most often, and how often; the lowest of equals.
  std::pair<int, int> most_pictured_class() const;
  std::string examples_html(const RunStatistics& statistics) const;

  HtmlReportOptions options_;
  ImageEncoder encode_;
  std::vector<Example> examples_;
  std::map<int, int> examples_by_class_;  ///< how many; no class of none
};

}  // namespace cfp
