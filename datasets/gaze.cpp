#include "datasets/gaze.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>
#include <string>

#include <fmt/format.h>

#include "datasets/csv.h"

namespace cfp {
namespace {

constexpr std::size_t kMaxHeaderLines = 1000;
constexpr std::int64_t kMaxFrames = std::int64_t{24} * 3600 * kGazeFps;  // a day of video
constexpr double kMaxPixels = 1e6;  // far outside any picture, and exact in sums

using Cells = std::vector<std::string_view>;

Cells split_at_tabs(std::string_view line) {
  Cells cells;
  for (std::size_t begin = 0;;) {
    const std::size_t end = std::min(line.find('\t', begin), line.size());
    cells.push_back(trim(line.substr(begin, end - begin)));
    if (end == line.size()) return cells;
    begin = end + 1;
  }
}

/// Which cell of a row holds what.
struct Columns {
  std::size_t count = 0;
  std::size_t time = 0, type = 0, x = 0, y = 0, frame = 0, event = 0;
  bool frame_is_time = false;  ///< BeGaze 3.4: HH:MM:SS:FF, from 0; else a number, from 1
};

std::size_t find_column(const LineReader& lines, const Cells& names, std::string_view name) {
  const auto found = std::ranges::find(names, name);
  if (found == names.end()) {
    lines.fail(fmt::format("no column is called '{}', so this is no gaze export of BeGaze", name));
  }
  if (std::ranges::count(names, name) > 1) {
    lines.fail(fmt::format("two columns are called '{}'", name));
  }
  return static_cast<std::size_t>(found - names.begin());
}

/// The two forms differ in what they call the point: of the left eye (3.1) or of both (3.4).
Columns find_columns(const LineReader& lines, const Cells& names) {
  const bool both_eyes = std::ranges::find(names, "B POR X [px]") != names.end();
  const std::string eye = both_eyes ? "B" : "L";
  return {.count = names.size(),
          .time = find_column(lines, names, "Time"),
          .type = find_column(lines, names, "Type"),
          .x = find_column(lines, names, eye + " POR X [px]"),
          .y = find_column(lines, names, eye + " POR Y [px]"),
          .frame = find_column(lines, names, "Frame"),
          .event = find_column(lines, names, eye + " Event Info"),
          .frame_is_time = both_eyes};
}

/// Reads `## key:\tvalue` lines up to the row of column names, and forgets all but the size.
Columns read_header(LineReader& lines) {
  std::string line;
  if (!lines.next(line) || !line.starts_with("## [BeGaze]")) {
    lines.fail_at(1, "does not begin with '## [BeGaze]', as the gaze exports of EGTEA Gaze+ do");
  }
  for (std::size_t i = 0; i < kMaxHeaderLines; ++i) {
    if (!lines.next(line)) lines.fail("ends before the row of column names");
    const Cells cells = split_at_tabs(line);
    if (!line.starts_with("##")) return find_columns(lines, cells);
    if (cells[0] != "## Calibration Area:") continue;
    const auto width = cells.size() == 3 ? parse_integer(cells[1]) : std::nullopt;
    const auto height = cells.size() == 3 ? parse_integer(cells[2]) : std::nullopt;
    if (width != kGazeWidth || height != kGazeHeight) {
      lines.fail(fmt::format("the calibration area is not {} x {} pixels, which EGTEA Gaze+ has",
                             kGazeWidth, kGazeHeight));
    }
  }
  lines.fail(fmt::format("no row of column names within {} lines", kMaxHeaderLines));
}

/// The number of frame HH:MM:SS:FF; absent where the text is not of that form.
std::optional<std::int64_t> parse_frame_time(std::string_view text) {
  constexpr std::array<std::int64_t, 4> kLimits{24, 60, 60, kGazeFps};
  if (text.size() != 11 || text[2] != ':' || text[5] != ':' || text[8] != ':') return std::nullopt;
  std::int64_t frame = 0;
  for (std::size_t part = 0; part < kLimits.size(); ++part) {
    const char tens = text[3 * part], ones = text[3 * part + 1];
    if (tens < '0' || tens > '9' || ones < '0' || ones > '9') return std::nullopt;
    const std::int64_t value = (tens - '0') * 10 + (ones - '0');
    if (value >= kLimits[part]) return std::nullopt;
    frame = frame * kLimits[part] + value;
  }
  return frame;
}

std::int64_t read_frame(const LineReader& lines, const Columns& columns, std::string_view text) {
  if (columns.frame_is_time) {
    const auto frame = parse_frame_time(text);
    if (!frame) {
      lines.fail(fmt::format("the frame '{:.40}' is not HH:MM:SS:FF at {} frames a second", text,
                             kGazeFps));
    }
    return *frame;
  }
  const auto number = parse_integer(text);
  if (!number || *number < 1 || *number > kMaxFrames) {
    lines.fail(fmt::format("the frame '{:.40}' is no number of 1..{}", text, kMaxFrames));
  }
  return *number - 1;
}

std::optional<double> read_coordinate(const LineReader& lines, std::string_view text) {
  if (text.empty() || text == "-" || text == "NaN") return std::nullopt;
  const auto value = parse_number(text);
  if (!value || std::abs(*value) > kMaxPixels) {
    lines.fail(fmt::format("the coordinate '{:.40}' is no number of pixels within {} of 0", text,
                           kMaxPixels));
  }
  return value;
}

GazeEvent event_of(std::string_view text) {
  if (text == "Fixation") return GazeEvent::kFixation;
  if (text == "Saccade") return GazeEvent::kSaccade;
  return GazeEvent::kOther;
}

/// Samples of one frame, by their event.
class FrameSamples {
 public:
  explicit FrameSamples(std::int64_t frame) : frame_(frame) {}
  std::int64_t frame() const { return frame_; }
  void add(GazeEvent event, double x_px, double y_px) {
    Sum& sum = sums_[static_cast<std::size_t>(event)];
    ++sum.samples;
    sum.x_px += x_px;
    sum.y_px += y_px;
  }
  GazePoint point() const {
    const auto most = std::ranges::max_element(sums_, {}, &Sum::samples);  // the first of equals
    GazePoint point{.frame = frame_,
                    .x_px = most->x_px / most->samples,
                    .y_px = most->y_px / most->samples,
                    .event = static_cast<GazeEvent>(most - sums_.begin()),
                    .samples = most->samples};
    point.inside_picture =
        point.x_px >= 0 && point.x_px < kGazeWidth && point.y_px >= 0 && point.y_px < kGazeHeight;
    return point;
  }

 private:
  struct Sum {
    int samples = 0;
    double x_px = 0, y_px = 0;
  };
  std::int64_t frame_;
  std::array<Sum, 3> sums_;  ///< by GazeEvent
};

/// Takes the rows of an export one by one.
class Samples {
 public:
  Samples(const LineReader& lines, const Columns& columns) : lines_(lines), columns_(columns) {}

  void add(const Cells& cells) {
    if (cells.size() != columns_.count) {
      lines_.fail(fmt::format("{} cells, but there are {} columns", cells.size(), columns_.count));
    }
    check_time(cells[columns_.time]);
    const std::string_view type = cells[columns_.type];
    if (type != "SMP") lines_.fail(fmt::format("a row of type '{:.40}', not SMP", type));
    const std::int64_t frame = read_frame(lines_, columns_, cells[columns_.frame]);
    if (frame < last_frame_) {
      lines_.fail(
          fmt::format("the frame '{:.40}' lies before the last one", cells[columns_.frame]));
    }
    last_frame_ = frame;
    const auto x = read_coordinate(lines_, cells[columns_.x]);
    const auto y = read_coordinate(lines_, cells[columns_.y]);
    if (!x || !y || (*x == 0 && *y == 0)) {
      ++gaze_.lost_samples;
      return;
    }
    if (!current_ || current_->frame() != frame) close_frame().emplace(frame);
    current_->add(event_of(cells[columns_.event]), *x, *y);
    ++gaze_.samples;
  }

  Gaze finish() {
    close_frame();
    return std::move(gaze_);
  }

 private:
  void check_time(std::string_view text) {
    const auto time_us = parse_integer(text);
    if (!time_us || *time_us < 0) {
      lines_.fail(fmt::format("the time '{:.40}' is no number of microseconds", text));
    }
    if (*time_us < last_time_us_) {
      lines_.fail(fmt::format("the time {} lies before the last one, {}", *time_us, last_time_us_));
    }
    last_time_us_ = *time_us;
  }

  std::optional<FrameSamples>& close_frame() {
    if (current_) gaze_.points.push_back(current_->point());
    return current_;
  }

  const LineReader& lines_;
  Columns columns_;
  Gaze gaze_;
  std::optional<FrameSamples> current_;
  std::int64_t last_time_us_ = 0;
  std::int64_t last_frame_ = 0;
};

}  // namespace

std::string_view to_string(GazeEvent event) {
  switch (event) {
    case GazeEvent::kFixation:
      return "fixation";
    case GazeEvent::kSaccade:
      return "saccade";
    case GazeEvent::kOther:
      break;
  }
  return "other";
}

Gaze read_gaze(const std::filesystem::path& path) {
  LineReader lines(path);
  Samples samples(lines, read_header(lines));
  for (std::string line; lines.next(line);) {
    if (!trim(line).empty()) samples.add(split_at_tabs(line));
  }
  return samples.finish();
}

}  // namespace cfp
