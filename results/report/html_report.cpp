#include "results/report/html_report.h"

#include <algorithm>
#include <cstdio>
#include <stdexcept>
#include <utility>

#include "results/report/html.h"
#include "results/report/overlay.h"
#include "results/report/strip.h"
#include "results/report/tables_html.h"
#include "results/statistics/tables.h"
#include "stages/core/output_file.h"
#include "stages/core/softmax.h"

namespace cfp {
namespace {

/// Frames below this height are shown at twice their size.
constexpr std::int64_t kSmallFramePx = 80;

std::string tube_caption(const Tube& tube, HeatStatus status) {
  std::string caption = std::to_string(tube.length) + "x" + std::to_string(tube.height) + "x" +
                        std::to_string(tube.width);
  if (status == HeatStatus::kDrawn) {
    char range[64];
    std::snprintf(range, sizeof range, ", %.3g to %.3g", double{tube.minimum},
                  double{tube.maximum});
    return caption + range;
  }
  return caption + ", " + std::string(to_string(status)) + ": nothing to draw";
}

std::string image(const std::string& uri, int width, const std::string& alt) {
  return "<img src=\"" + uri + "\" width=\"" + std::to_string(width) + "\" alt=\"" +
         html::escape(alt) + "\">";
}

}  // namespace

HtmlReport::HtmlReport(HtmlReportOptions options, ImageEncoder encode)
    : options_(options), encode_(std::move(encode)) {
  if (!encode_) throw std::invalid_argument("a report needs an encoder for its pictures");
  if (options_.frames < 1 || options_.frame_height_px < 1) {
    throw std::invalid_argument("a report pictures at least one frame of at least one pixel");
  }
}

std::pair<int, int> HtmlReport::most_pictured_class() const {
  std::pair<int, int> most{0, 0};
  for (const auto& [index, count] : examples_by_class_) {
    if (count > most.second) most = {index, count};
  }
  return most;
}

bool HtmlReport::wants(const ClipResult& result) const {
  if (result.pyramids.empty()) return false;
  if (!is_full()) return true;
  const int target = result.pyramids.front().target.class_index;
  return !examples_by_class_.contains(target) && most_pictured_class().second > 1;
}

void HtmlReport::add_example(const Clip& clip, const ClipResult& result) {
  if (!wants(result) || clip.frames.length == 0) return;
  const Pyramid& pyramid = result.pyramids.front();
  const std::vector<std::int64_t> chosen = evenly_spread(clip.frames.length, options_.frames);
  const Strip strip = make_strip(clip.frames, chosen, options_.frame_height_px);
  const auto packed = [&](const std::vector<std::uint8_t>& rgb) {
    return html::image_uri(
        encode_(rgb.data(), static_cast<int>(strip.width), static_cast<int>(strip.height)));
  };

  Example example{.clip_id = result.clip_id,
                  .path = result.path,
                  .view = result.view,
                  .views = result.views,
                  .label = result.label,
                  .prediction = result.prediction,
                  .target_class = pyramid.target.class_index,
                  .probability = softmax_probability(result.logits,
                                                     static_cast<std::size_t>(result.prediction)),
                  .target_value = pyramid.target.value,
                  .strip_width_px = static_cast<int>(strip.height < kSmallFramePx ? 2 * strip.width
                                                                                  : strip.width),
                  .frames_uri = packed(strip.rgb)};
  for (const std::int64_t t : chosen) {
    const auto i = static_cast<std::size_t>(t);
    if (i < clip.frame_times_s.size()) example.times_s.push_back(clip.frame_times_s[i]);
  }
  std::vector<const PyramidLayer*> with_tube;
  for (const PyramidLayer& layer : pyramid.layers) {
    if (!layer.tube.values.empty()) with_tube.push_back(&layer);
  }
  for (const std::int64_t i :
       evenly_spread(static_cast<std::int64_t>(with_tube.size()), options_.max_layers)) {
    const PyramidLayer& layer = *with_tube[static_cast<std::size_t>(i)];
    const HeatMap heat(layer.tube, clip.frames.length, strip.height, strip.frame_width);
    example.tubes.push_back({layer.name, layer.depth, tube_caption(layer.tube, heat.status()),
                             packed(draw_heat(strip, heat, chosen, blend_heat).rgb)});
  }
  if (is_full()) {
    const auto [most, count] = most_pictured_class();
    examples_.erase(
        std::ranges::find(examples_.rbegin(), examples_.rend(), most, &Example::target_class)
            .base() -
        1);
    examples_by_class_[most] = count - 1;
  }
  ++examples_by_class_[example.target_class];
  examples_.push_back(std::move(example));
}

std::string HtmlReport::examples_html(const RunStatistics& s) const {
  if (examples_.empty()) return "";
  std::string out =
      "<h2>Clips</h2>\n<p class=\"soft\">Frames, and below them the same frames under the tube of "
      "a layer: the lighter the colour, the more the layer's found channels there speak for the "
      "explained class. Each tube is scaled to its own smallest and largest value.</p>\n";
  for (const Example& e : examples_) {
    out += "<section class=\"clip\">\n<h3>" + html::escape(e.clip_id);
    if (e.view > 0) out += ", view " + std::to_string(e.view);
    if (e.views > 1) {
      out += ", mean of ";
      out += std::to_string(e.views) + " views over the frames of the first";
    }
    out += "</h3>\n<p>explained: <b>" + html::escape(s.class_name(e.target_class)) + "</b> (" +
           html::fixed(e.target_value, 3) +
           "); label: " + (e.label < 0 ? "none" : html::escape(s.class_name(e.label))) +
           "; prediction: " + html::escape(s.class_name(e.prediction)) + " (" +
           html::fixed(100 * e.probability, 1) + " %)</p>\n";
    std::string times;
    for (const double t : e.times_s) times += (times.empty() ? "" : ", ") + html::fixed(t, 2);
    out += "<figure>" + image(e.frames_uri, e.strip_width_px, "frames of " + e.clip_id) +
           "<figcaption>" + html::escape(e.path) + (times.empty() ? "" : "; seconds " + times) +
           "</figcaption></figure>\n";
    for (const TubeStrip& tube : e.tubes) {
      out += "<figure>" +
             image(tube.image_uri, e.strip_width_px, "tube of " + tube.layer + " over the frames") +
             "<figcaption>" + html::escape(tube.layer) + ", depth " + std::to_string(tube.depth) +
             "; tube " + html::escape(tube.caption) + "</figcaption></figure>\n";
    }
    out += "</section>\n";
  }
  return out;
}

void HtmlReport::write(const std::filesystem::path& path, const RunStatistics& statistics) const {
  const std::string body = "<h1>" + html::escape(statistics.info().name) + "</h1>\n" +
                           html::headline(statistics) + examples_html(statistics) +
                           html::tables(statistics);
  write_file(path, html::page(statistics.info().name, body));
}

}  // namespace cfp
