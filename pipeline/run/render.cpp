#include "pipeline/run/render.h"

#include <algorithm>
#include <memory>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "pipeline/config/scalars.h"
#include "pipeline/run/part_files.h"
#include "pipeline/run/render_listing.h"
#include "pipeline/run/work_dir.h"
#include "results/report/file_name.h"
#include "results/report/frame_times.h"
#include "results/report/overlay.h"
#include "results/report/strip.h"
#include "stages/core/output_file.h"
#include "stages/decode/image_codec.h"
#include "stages/decode/video_writer.h"

namespace cfp {
namespace fs = std::filesystem;
namespace {

constexpr int kSheetFrames = 8;
constexpr int kSheetFrameHeight_px = 224;
constexpr int kSheetLeastHeight_px = 96;

void make_folder(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error || !fs::is_directory(folder)) {
    throw SystemError(
        fmt::format("cannot make the folder '{}': {}", folder.string(),
                    error ? error.message() : std::string("something else has its name")));
  }
}

void write_picture(const fs::path& path, const std::vector<std::uint8_t>& file) {
  write_file(path, {reinterpret_cast<const char*>(file.data()), file.size()});
}

// ---- which layers
// --------------------------------------------------------------------------------

std::vector<std::string> names_with_tube(const Pyramid& pyramid) {
  std::vector<std::string> names;
  for (const PyramidLayer& layer : pyramid.layers) {
    if (!layer.tube.values.empty()) names.push_back(layer.name);
  }
  if (names.empty()) {
    throw ConfigError(
        "the run kept no tubes; run it with explain.tubes=excitation and output.tubes=float32");
  }
  return names;
}

/// @return the layers asked for by name, as indices into the pyramid
std::vector<std::size_t> layers_by_name(const Pyramid& pyramid,
                                        const std::vector<std::string>& wanted) {
  const std::vector<std::string> with_tube = names_with_tube(pyramid);
  std::vector<std::size_t> chosen;
  for (const std::string& name : wanted) {
    const auto layer = std::ranges::find(pyramid.layers, name, &PyramidLayer::name);
    if (layer == pyramid.layers.end()) {
      throw ConfigError(fmt::format("the run has no layer '{}'{}; layers with a tube are: {}", name,
                                    did_you_mean(name, with_tube), fmt::join(with_tube, ", ")));
    }
    if (layer->tube.values.empty()) {
      throw ConfigError(
          fmt::format("layer '{}' has no tube; these have: {}", name, fmt::join(with_tube, ", ")));
    }
    const auto index = static_cast<std::size_t>(layer - pyramid.layers.begin());
    if (std::ranges::find(chosen, index) == chosen.end()) chosen.push_back(index);
  }
  return chosen;
}

std::vector<std::size_t> layers_by_depth(const Pyramid& pyramid, std::optional<int> depth) {
  const std::vector<std::string> with_tube = names_with_tube(pyramid);
  std::vector<std::size_t> candidates;
  for (std::size_t i = 0; i < pyramid.layers.size(); ++i) {
    const PyramidLayer& layer = pyramid.layers[i];
    if (!layer.tube.values.empty() && (!depth || layer.depth <= *depth)) candidates.push_back(i);
  }
  if (depth) {
    if (candidates.empty()) {
      throw ConfigError(fmt::format("no layer of depth up to {} has a tube; these have: {}", *depth,
                                    fmt::join(with_tube, ", ")));
    }
    return candidates;
  }
  std::vector<std::size_t> chosen;
  for (const std::int64_t i :
       evenly_spread(static_cast<std::int64_t>(candidates.size()), kUsualLayers)) {
    chosen.push_back(candidates[static_cast<std::size_t>(i)]);
  }
  return chosen;
}

const Pyramid& target_of(const ClipResult& result, const RenderOptions& options) {
  if (options.target < 0 || static_cast<std::size_t>(options.target) >= result.pyramids.size()) {
    throw ConfigError(fmt::format("target {}: the run explains {} target{} a clip, counted from 0",
                                  options.target, result.pyramids.size(),
                                  result.pyramids.size() == 1 ? "" : "s"));
  }
  return result.pyramids[static_cast<std::size_t>(options.target)];
}

std::vector<std::size_t> chosen_layers(const Pyramid& pyramid, const RenderOptions& options) {
  return options.layers.empty() ? layers_by_depth(pyramid, options.depth)
                                : layers_by_name(pyramid, options.layers);
}

// ---- one layer of one clip
// -----------------------------------------------------------------------

/// A style of drawing, with the files that it goes to.
class StyleFiles {
 public:
  /// @param base  of the names: `<base>-heat.mp4`, `<base>-heat/000.png`
  StyleFiles(std::string style, DrawHeat draw, const fs::path& base, const Frames& frames,
             const RenderOptions& options, const std::string& title)
      : style_(std::move(style)), draw_(draw), frames_(frames) {
    const fs::path stem = fs::path(base).concat("-" + style_);
    if (options.mp4) {
      video_.emplace(fs::path(stem).concat(".mp4"), even(frames.width), even(frames.height),
                     VideoWriterOptions{.has_times = true, .title = title});
    }
    if (options.png) {
      folder_ = stem;
      make_folder(folder_);
      remove_old_frames();
    }
    picture_.resize(static_cast<std::size_t>(frames.bytes_per_frame()));
  }

  void add(std::int64_t t, const std::vector<float>& heat, const ShownFrame& shown) {
    draw_(frames_.frame(t), heat.data(), frames_.height * frames_.width, picture_.data());
    if (!folder_.empty()) {
      write_picture(folder_ / fmt::format("{:03}.png", t),
                    encode_png(picture_.data(), static_cast<int>(frames_.width),
                               static_cast<int>(frames_.height)));
    }
    if (video_) video_->write(evened().data(), shown.start_s, shown.duration_s);
  }

  void finish() {
    if (video_) video_->finish();
  }

  const std::string& style() const { return style_; }
  static int even(std::int64_t side) { return static_cast<int>(side + side % 2); }

 private:
  /// Of a longer clip that was rendered here before.
  void remove_old_frames() {
    std::error_code error;
    for (fs::directory_iterator entry(folder_, error), end; !error && entry != end;
         entry.increment(error)) {
      const std::string name = entry->path().filename().string();
      if (name.ends_with(".png") &&
          std::all_of(name.begin(), name.end() - 4, [](char c) { return c >= '0' && c <= '9'; })) {
        fs::remove(entry->path(), error);
      }
    }
  }

  /// H.264 wants even sides: the last column and row are repeated where they are odd.
  const std::vector<std::uint8_t>& evened() {
    if (frames_.width % 2 == 0 && frames_.height % 2 == 0) return picture_;
    const std::int64_t height = even(frames_.height), width = even(frames_.width);
    even_.resize(static_cast<std::size_t>(height * width * 3));
    for (std::int64_t y = 0; y < height; ++y) {
      for (std::int64_t x = 0; x < width; ++x) {
        const std::int64_t from =
            std::min(y, frames_.height - 1) * frames_.width + std::min(x, frames_.width - 1);
        std::copy_n(picture_.data() + from * 3, 3, even_.data() + (y * width + x) * 3);
      }
    }
    return even_;
  }

  std::string style_;
  DrawHeat draw_;
  const Frames& frames_;
  std::optional<VideoWriter> video_;
  fs::path folder_;
  std::vector<std::uint8_t> picture_, even_;
};

/// @return a picture of frames, and below them the same in each style
Strip contact_sheet(const Frames& frames, const Tube& tube, const RenderOptions& options) {
  const std::vector<std::int64_t> chosen = evenly_spread(frames.length, kSheetFrames);
  const Strip plain = make_strip(frames, chosen, kSheetFrameHeight_px, kSheetLeastHeight_px);
  const HeatMap heat(tube, frames.length, plain.height, plain.frame_width);
  std::vector<Strip> strips = {plain};
  if (options.heat) strips.push_back(draw_heat(plain, heat, chosen, blend_heat));
  if (options.focus) strips.push_back(draw_heat(plain, heat, chosen, keep_focus));
  return stack(strips);
}

/// Renders the layers of one clip.
class ClipRenderer {
 public:
  ClipRenderer(const FinishedRun& run, const RenderOptions& options, const fs::path& folder,
               RenderListing& listing, RenderSummary& summary,
               const std::function<void(const std::string&)>& say)
      : run_(run),
        options_(options),
        folder_(folder),
        listing_(listing),
        summary_(summary),
        say_(say) {}

  void render(const Clip& clip, const ClipResult& result) {
    const Pyramid& pyramid = target_of(result, options_);
    const std::vector<std::size_t> layers = chosen_layers(pyramid, options_);
    make_folder(folder_ / folder_name(result));
    listing_.remove_failure(folder_name(result));
    for (const std::size_t i : layers) render_layer(clip, result, pyramid, pyramid.layers[i]);
    ++summary_.clips;
    const std::string& class_name = name_of(pyramid.target.class_index);
    say_(fmt::format(
        "{}: {} layer{} for {}, {} frames of {}x{}", result.clip_id, layers.size(),
        layers.size() == 1 ? "" : "s",
        class_name.empty() ? fmt::format("class {}", pyramid.target.class_index) : class_name,
        clip.frames.length, clip.frames.width, clip.frames.height));
  }

  /// Below the folder of all clips.
  static std::string folder_name(const ClipResult& result) {
    std::string name = safe_file_name(result.clip_id);
    if (result.view > 0) name += fmt::format("~view{}", result.view);
    return name;
  }

 private:
  const std::string& name_of(int class_index) const {
    static const std::string none;
    const std::vector<std::string>& names = run_.header().class_names;
    return static_cast<std::size_t>(class_index) < names.size()
               ? names[static_cast<std::size_t>(class_index)]
               : none;
  }

  void render_layer(const Clip& clip, const ClipResult& result, const Pyramid& pyramid,
                    const PyramidLayer& layer) {
    const Frames& frames = clip.frames;
    const HeatMap heat(layer.tube, frames.length, frames.height, frames.width);
    std::string base = safe_file_name(layer.name);
    if (options_.target > 0) base += fmt::format("~target{}", options_.target);
    const fs::path stem = folder_ / folder_name(result) / base;
    RenderedFile row{.clip_id = result.clip_id,
                     .view = result.view,
                     .layer = layer.name,
                     .depth = layer.depth,
                     .target = options_.target,
                     .class_index = pyramid.target.class_index,
                     .class_name = name_of(pyramid.target.class_index),
                     .frames = frames.length,
                     .tube_size = fmt::format("{}x{}x{}", layer.tube.length, layer.tube.height,
                                              layer.tube.width),
                     .minimum = layer.tube.minimum,
                     .maximum = layer.tube.maximum,
                     .status = std::string(to_string(heat.status()))};
    const auto list = [&](const std::string& ending, const std::string& style, std::int64_t width,
                          std::int64_t height) {
      row.file = folder_name(result) + "/" + base + "-" + style + ending;
      row.style = style;
      row.width_px = width;
      row.height_px = height;
      listing_.add(row);
      ++summary_.files;
    };

    std::vector<std::unique_ptr<StyleFiles>> styles;
    const auto add_style = [&](const char* style, DrawHeat draw) {
      const std::string title = fmt::format(
          "{}, {} (depth {}), {}: {} map, {}", row.clip_id, row.layer, row.depth,
          row.class_name.empty() ? fmt::format("class {}", row.class_index) : row.class_name, style,
          row.status);
      styles.push_back(std::make_unique<StyleFiles>(style, draw, stem, frames, options_, title));
    };
    if (options_.mp4 || options_.png) {
      if (options_.heat) add_style("heat", blend_heat);
      if (options_.focus) add_style("focus", keep_focus);
      draw_frames(clip, heat, styles);
    }
    for (const auto& style : styles) {
      if (options_.mp4) {
        list(".mp4", style->style(), StyleFiles::even(frames.width),
             StyleFiles::even(frames.height));
      }
      if (options_.png) list("/", style->style(), frames.width, frames.height);
    }
    if (options_.sheet) {
      const Strip sheet = contact_sheet(frames, layer.tube, options_);
      write_picture(fs::path(stem).concat("-sheet.png"),
                    encode_png(sheet.rgb.data(), static_cast<int>(sheet.width),
                               static_cast<int>(sheet.height)));
      list(".png", "sheet", sheet.width, sheet.height);
    }
    if (heat.status() != HeatStatus::kDrawn) {
      ++summary_.constant;
      say_(fmt::format("  {}: the tube is {}: drawn as zeros", layer.name,
                       to_string(heat.status())));
    }
  }

  static void draw_frames(const Clip& clip, const HeatMap& heat,
                          const std::vector<std::unique_ptr<StyleFiles>>& styles) {
    const std::vector<ShownFrame> shown = shown_frames(clip.frame_times_s);
    for (std::int64_t t = 0; t < clip.frames.length; ++t) {
      const std::vector<float> values = heat.frame(t);
      for (const auto& style : styles) style->add(t, values, shown[static_cast<std::size_t>(t)]);
    }
    for (const auto& style : styles) style->finish();
  }

  const FinishedRun& run_;
  const RenderOptions& options_;
  const fs::path& folder_;
  RenderListing& listing_;
  RenderSummary& summary_;
  const std::function<void(const std::string&)>& say_;
};

}  // namespace

RenderSummary render_clips(const FinishedRun& run, const std::vector<StoredClip>& clips,
                           const RenderOptions& options, const fs::path& folder,
                           const std::function<void(const std::string&)>& say) {
  if (clips.empty()) throw ConfigError("the run explained no clip; there is nothing to render");
  // What is wrong with the options is wrong for every clip, and found before anything is written.
  const ClipResult first = run.read(clips.front());
  chosen_layers(target_of(first, options), options);
  make_folder(folder);
  RenderListing listing(folder);
  RenderSummary summary;
  ClipRenderer renderer(run, options, folder, listing, summary, say);
  std::vector<Clip> decoded;  // the views of one row, which follow one another
  std::int64_t decoded_row = -1;
  for (const StoredClip& stored : clips) {
    const ClipResult result = run.read(stored);
    try {
      if (stored.row != decoded_row) {
        decoded_row = -1;
        decoded = run.decode(stored.row);
        decoded_row = stored.row;
      }
      renderer.render(FinishedRun::matching(decoded, result), result);
    } catch (const DataError& error) {
      ++summary.failed;
      listing.add_failure(ClipRenderer::folder_name(result), result, error.reason());
      say(fmt::format("{}: not rendered: {}", result.clip_id, error.what()));
    }
  }
  listing.write();
  return summary;
}

void render_first(const fs::path& folder, int clips, RunLog& log) {
  if (clips == 0 || parts_of_run(folder).empty()) return;
  const FinishedRun run(folder);
  std::vector<StoredClip> chosen;  // of each row its first view
  for (const StoredClip& stored : run.clips()) {
    if (static_cast<int>(chosen.size()) == clips) break;
    if (chosen.empty() || chosen.back().row != stored.row) chosen.push_back(stored);
  }
  if (chosen.empty()) return;
  const RenderSummary summary =
      render_clips(run, chosen, {}, folder / kOverlaysName, [&](const std::string& line) {
        log.write("render", {{"message", line}});
      });
  log.write("rendered", {{"clips", summary.clips},
                         {"failed", summary.failed},
                         {"files", summary.files},
                         {"constant", summary.constant}});
}

}  // namespace cfp
