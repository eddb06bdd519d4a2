#include "pipeline/sweep/sweep_table.h"

#include <algorithm>
#include <fstream>
#include <optional>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "datasets/csv.h"
#include "pipeline/run/part_files.h"
#include "pipeline/run/run_end.h"
#include "stages/core/output_file.h"

namespace cfp {
namespace fs = std::filesystem;
namespace {

using Json = nlohmann::json;

/// A number of summary.json, by where it stands.
struct Headline {
  const char* column;
  const char* pointer;
};

constexpr Headline kHeadlines[] = {{"top1", "/accuracy/top1"},
                                   {"top5", "/accuracy/top5"},
                                   {"mean_class_accuracy", "/accuracy/mean_class"},
                                   {"kernels_found", "/pyramid/kernels_found/mean"},
                                   {"kernels_reached", "/pyramid/kernels_reached/mean"},
                                   {"channels_found", "/pyramid/channels_found/mean"},
                                   {"edges", "/pyramid/edges/mean"},
                                   {"class_overlap", "/class_overlap/pairs/mean"},
                                   {"decode_s", "/seconds_a_clip/decode/mean"},
                                   {"network_s", "/seconds_a_clip/network/mean"},
                                   {"pyramid_s", "/seconds_a_clip/pyramid/mean"}};

fs::path folder_of(const Sweep& sweep, const SweepPoint& point) {
  return sweep.folder / point.name;
}

/// @return the keys of all points, in the order in which they come first
std::vector<std::string> swept_keys(const Sweep& sweep) {
  std::vector<std::string> keys;
  for (const SweepPoint& point : sweep.points) {
    for (const auto& [key, value] : point.settings) {
      if (std::ranges::find(keys, key) == keys.end()) keys.push_back(key);
    }
  }
  return keys;
}

std::string state_in(const fs::path& folder, const std::optional<RunEnd>& end) {
  if (end) return std::string(end->state());
  return is_there(folder) ? "unfinished" : "not begun";
}

std::string headline(const Json& summary, const char* pointer) {
  const Json::json_pointer at(pointer);
  if (!summary.contains(at) || !summary.at(at).is_number()) return "";
  return fmt::format("{:.6g}", summary.at(at).get<double>());
}

std::string line_of(const Sweep& sweep, const SweepPoint& point,
                    const std::vector<std::string>& keys) {
  const fs::path folder = folder_of(sweep, point);
  const std::optional<RunEnd> end = read_run_end(folder);
  std::ifstream file(folder / "summary.json");
  const Json summary = Json::parse(file, nullptr, /*allow_exceptions=*/false);
  std::vector<std::string> cells = {csv_field(point.name)};
  for (const std::string& key : keys) {
    const auto setting = std::ranges::find(point.settings, key, &PointSettings::value_type::first);
    cells.push_back(setting == point.settings.end() ? "" : csv_field(setting->second));
  }
  cells.push_back(state_in(folder, end));
  cells.push_back(end ? fmt::format("{}", end->done) : "");
  cells.push_back(end ? fmt::format("{}", end->failed) : "");
  for (const Headline& each : kHeadlines) {
    cells.push_back(end ? headline(summary, each.pointer) : "");
  }
  return fmt::format("{}\n", fmt::join(cells, ","));
}

}  // namespace

std::string sweep_csv(const Sweep& sweep) {
  const std::vector<std::string> keys = swept_keys(sweep);
  std::vector<std::string> names = {"point"};
  names.insert(names.end(), keys.begin(), keys.end());
  names.insert(names.end(), {"state", "done", "failed"});
  for (const Headline& each : kHeadlines) names.emplace_back(each.column);
  std::string csv = fmt::format("{}\n", fmt::join(names, ","));
  for (const SweepPoint& point : sweep.points) csv += line_of(sweep, point, keys);
  return csv;
}

void write_sweep_csv(const Sweep& sweep) {
  std::error_code ignored;  // that the file cannot be written says why
  fs::create_directories(sweep.folder, ignored);
  // Another job may end meanwhile and write the table with its points, before this one puts its own
  // in that place. So whoever wrote last looks once more: then what is there is what is true.
  std::string written, now = sweep_csv(sweep);
  do {
    written = now;
    write_file(sweep.folder / "sweep.csv", written);
    now = sweep_csv(sweep);
  } while (now != written);
}

std::string describe(const Sweep& sweep) {
  std::size_t width = 5;
  for (const SweepPoint& point : sweep.points) width = std::max(width, point.name.size());
  std::string text = fmt::format(
      "{}: {} points, {} jobs; points of one job share decoding and "
      "forward passes\n\n{:>5}  {:<{}}  state\n",
      sweep.name, sweep.points.size(), sweep.jobs.size(), "job", "point", width);
  for (const SweepPoint& point : sweep.points) {
    const fs::path folder = folder_of(sweep, point);
    text += fmt::format("{:>5}  {:<{}}  {}\n", point.job, point.name, width,
                        state_in(folder, read_run_end(folder)));
  }
  return text;
}

}  // namespace cfp
