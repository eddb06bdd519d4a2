#include "datasets/boxes.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <fstream>
#include <limits>
#include <set>
#include <string_view>
#include <tuple>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "datasets/csv.h"
#include "stages/core/errors.h"

namespace cfp {
namespace fs = std::filesystem;
namespace {

constexpr double kMaxPixels = 1e6;
constexpr double kMaxSeconds = 1e6;            // eleven days
constexpr std::int64_t kMaxFrame = 999999999;  // nine digits
constexpr std::string_view kPngSignature = "\x89PNG\r\n\x1a\n";

const std::array<std::string, 4> kPixelColumns{"x1_px", "y1_px", "x2_px", "y2_px"};
const std::array<std::string, 4> kRelativeColumns{"x1_rel", "y1_rel", "x2_rel", "y2_rel"};

bool has_any(const CsvTable& table, const std::array<std::string, 4>& columns) {
  return std::ranges::any_of(columns, [&](const auto& column) { return table.has(column); });
}

/// Refuses headers that leave open what is meant; returns the unit that they name.
BoxUnit check_header(const CsvTable& table) {
  const std::set<std::string> known{"clip_id", "frame",  "time_s", "label", "score",
                                    "track",   "x1_px",  "y1_px",  "x2_px", "y2_px",
                                    "x1_rel",  "y1_rel", "x2_rel", "y2_rel"};
  for (const std::string& column : table.columns()) {
    if (!known.contains(column)) {
      table.fail(fmt::format("no column of boxes is called '{:.60}'; there are: {}", column,
                             fmt::join(known, ", ")));
    }
  }
  if (table.has("frame") == table.has("time_s")) {
    table.fail("a column 'frame' or a column 'time_s' is needed, and not both");
  }
  const bool relative = has_any(table, kRelativeColumns);
  if (relative == has_any(table, kPixelColumns)) {
    table.fail(
        fmt::format("the columns {} (pixels) or {} (parts of the picture) are needed, and "
                    "not both",
                    fmt::join(kPixelColumns, ","), fmt::join(kRelativeColumns, ",")));
  }
  for (const std::string& column : relative ? kRelativeColumns : kPixelColumns) {
    if (!table.has(column)) table.fail(fmt::format("the column '{}' is missing", column));
  }
  return relative ? BoxUnit::kRelative : BoxUnit::kPixels;
}

double number(const CsvTable& table, std::string_view column, double lowest, double highest) {
  const std::string& text = table.at(column);
  const auto value = parse_number(trim(text));
  if (!value || *value < lowest || *value > highest) {
    table.fail(fmt::format("{} '{:.60}' is no number of {}..{}", column, text, lowest, highest));
  }
  return *value;
}

std::int64_t integer(const CsvTable& table, std::string_view column, std::int64_t highest) {
  const std::string& text = table.at(column);
  const auto value = parse_integer(trim(text));
  if (!value || *value < 0 || *value > highest) {
    table.fail(fmt::format("{} '{:.60}' is no whole number of 0..{}", column, text, highest));
  }
  return *value;
}

Box read_box(const CsvTable& table, BoxUnit unit) {
  Box box;
  if (table.has("frame")) box.frame = integer(table, "frame", kMaxFrame);
  if (table.has("time_s")) box.time_s = number(table, "time_s", 0, kMaxSeconds);
  const bool relative = unit == BoxUnit::kRelative;
  const auto& columns = relative ? kRelativeColumns : kPixelColumns;
  std::array<double, 4> corners{};
  for (std::size_t i = 0; i < corners.size(); ++i) {
    corners[i] = relative ? number(table, columns[i], 0, 1)
                          : number(table, columns[i], -kMaxPixels, kMaxPixels);
  }
  box.x1 = corners[0], box.y1 = corners[1], box.x2 = corners[2], box.y2 = corners[3];
  if (box.x1 >= box.x2 || box.y1 >= box.y2) {
    table.fail(
        fmt::format("a box from ({}, {}) to ({}, {}) has no area: x1 < x2 and y1 < y2 are "
                    "needed",
                    box.x1, box.y1, box.x2, box.y2));
  }
  box.label = trim(table.get("label"));
  if (!trim(table.get("score")).empty()) box.score = number(table, "score", -1e300, 1e300);
  if (!trim(table.get("track")).empty()) {
    box.track = integer(table, "track", std::numeric_limits<std::int64_t>::max());
  }
  return box;
}

/// The frame that a mask's file name says; absent where it is no such name.
std::optional<std::int64_t> frame_of_mask(const std::string& name) {
  if (!name.ends_with(".png")) return std::nullopt;
  const std::string digits = name.substr(0, name.size() - 4);
  const bool plain = std::ranges::all_of(digits, [](char c) { return c >= '0' && c <= '9'; });
  if (!plain || digits.empty() || digits.size() > 9) return std::nullopt;
  return parse_integer(digits);
}

bool begins_as_png(const fs::path& path) {
  std::array<char, kPngSignature.size()> bytes{};
  std::ifstream file(path, std::ios::binary);
  file.read(bytes.data(), bytes.size());
  return file && std::string_view(bytes.data(), bytes.size()) == kPngSignature;
}

}  // namespace

BoxFile read_boxes(const fs::path& path) {
  CsvTable table(path);
  BoxFile file;
  file.unit = check_header(table);
  while (table.next()) {
    std::string clip(trim(table.get("clip_id")));
    if (table.has("clip_id") && clip.empty()) table.fail("the clip_id is empty");
    file.boxes_from_clip[std::move(clip)].push_back(read_box(table, file.unit));
  }
  for (auto& [clip, boxes] : file.boxes_from_clip) {
    std::ranges::stable_sort(boxes, [](const Box& a, const Box& b) {
      return std::tie(a.frame, a.time_s) < std::tie(b.frame, b.time_s);
    });
  }
  return file;
}

std::map<std::int64_t, fs::path> list_masks(const fs::path& folder) {
  std::map<std::int64_t, fs::path> path_from_frame;
  try {
    if (!fs::is_directory(folder)) {
      throw ConfigError(fmt::format("{}: no such folder of masks", folder.string()));
    }
    for (const auto& entry : fs::directory_iterator(folder)) {
      const std::string name = entry.path().filename().string();
      if (name.starts_with('.')) continue;
      const auto frame = frame_of_mask(name);
      if (!frame) {
        throw ConfigError(
            fmt::format("{}: masks are named by the number of their frame from 0: "
                        "000000.png, 000001.png, …",
                        entry.path().string()));
      }
      if (!entry.is_regular_file() || !begins_as_png(entry.path())) {
        throw ConfigError(
            fmt::format("{}: is no PNG file, or cannot be read", entry.path().string()));
      }
      const auto [other, is_new] = path_from_frame.emplace(*frame, entry.path());
      if (!is_new) {
        throw ConfigError(fmt::format("{}: {} and {} are both the mask of frame {}",
                                      folder.string(), other->second.filename().string(), name,
                                      *frame));
      }
    }
  } catch (const fs::filesystem_error& error) {
    throw ConfigError(
        fmt::format("{}: the folder of masks cannot be read: {}", folder.string(), error.what()));
  }
  return path_from_frame;
}

fs::path mask_path(const fs::path& folder, std::int64_t frame) {
  return folder / fmt::format("{:06d}.png", frame);
}

}  // namespace cfp
