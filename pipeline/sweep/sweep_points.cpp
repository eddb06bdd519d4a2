#include "pipeline/sweep/sweep_points.h"

#include <map>

#include <fmt/format.h>

#include "stages/core/errors.h"

namespace cfp {
namespace {

/// Keys that every point has for itself.
bool is_own(const KeySpec& key) { return key.path == "name" || key.path == "output.work_dir"; }

bool is_after_forward(const KeySpec& key) {
  return section_name(key.path) == "explain" && key.path != "explain.views";
}

std::string line_of(const ConfigValues& values, const KeySpec& key) {
  return key.path + '=' + to_flow_yaml(values.tree(key.path)) + '\n';
}

/// Equal for points that can share decoding and forward passes.
std::string shared_values(const ConfigValues& values) {
  std::string shared;
  for (const KeySpec& key : config_schema()) {
    if (!is_own(key) && !is_after_forward(key)) shared += line_of(values, key);
  }
  return shared;
}

/// Equal for points that are one and the same.
std::string all_values(const ConfigValues& values) {
  std::string all;
  for (const KeySpec& key : config_schema()) {
    if (!is_own(key)) all += line_of(values, key);
  }
  return all;
}

/// Two that are one would write in the same folder, or do the same work twice.
void check_differ(const std::vector<SweepPoint>& points) {
  std::map<std::string, const SweepPoint*> known;
  for (const SweepPoint& point : points) {
    const auto [same, is_new] = known.emplace(all_values(point.run.config.values), &point);
    if (is_new) continue;
    std::string settings;
    for (const auto& [key, value] : point.settings) settings += ' ' + key + '=' + value;
    throw ConfigError(fmt::format("sweep: points {} and {} are the same:{}",
                                  same->second - points.data(), &point - points.data(), settings));
  }
}

void check_keys(const PointSettings& settings) {
  for (const auto& [key, value] : settings) {
    if (key != "output.work_dir" && key != "name") continue;
    throw ConfigError(fmt::format(
        "sweep: {} cannot be swept: each point has a folder in output.work_dir, called by its "
        "values",
        key));
  }
}

RunPoint make_point(const std::filesystem::path& config, std::vector<std::string> overrides,
                    const ResolvedConfig& base, const std::string& name,
                    const PointSettings& settings) {
  check_keys(settings);
  for (const auto& [key, value] : settings) overrides.push_back(key + '=' + value);
  overrides.push_back("name=" + quote_yaml_text(base.name + ' ' + name));
  const std::filesystem::path folder = std::filesystem::path(base.output.work_dir) / name;
  overrides.push_back("output.work_dir=" + quote_yaml_text(folder.string()));
  try {
    return {resolve_config(load_config(config, overrides)), std::move(overrides)};
  } catch (const ConfigError& error) {
    throw ConfigError(fmt::format("point {}: {}", name, error.what()));
  }
}

}  // namespace

Sweep plan_sweep(const std::filesystem::path& config, const std::vector<std::string>& words,
                 bool zip) {
  SweepArguments arguments = parse_sweep_arguments(words);
  take_axes_of(load_config(config, arguments.overrides).sweep(), arguments);
  const ResolvedConfig base = resolve_config(load_config(config, arguments.overrides));
  const std::vector<PointSettings> settings =
      sweep_settings(base.values.sweep(), arguments.axes, zip);
  const std::vector<std::string> names = point_names(settings);
  Sweep sweep{.name = base.name, .folder = base.output.work_dir};
  std::map<std::string, std::size_t> job_of;
  for (std::size_t i = 0; i < settings.size(); ++i) {
    SweepPoint point{.name = names[i],
                     .settings = settings[i],
                     .run = make_point(config, arguments.overrides, base, names[i], settings[i])};
    const auto [job, is_new] =
        job_of.emplace(shared_values(point.run.config.values), sweep.jobs.size());
    if (is_new) sweep.jobs.emplace_back();
    point.job = job->second;
    sweep.jobs[point.job].push_back(i);
    sweep.points.push_back(std::move(point));
  }
  check_differ(sweep.points);
  return sweep;
}

}  // namespace cfp
