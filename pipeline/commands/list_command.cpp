#include <algorithm>
#include <memory>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "datasets/dataset.h"
#include "pipeline/commands/commands.h"
#include "pipeline/config/schema.h"
#include "stages/core/preprocess.h"
#include "stages/network/builders.h"

namespace cfp {
namespace {

void list_networks() {
  for (const std::string& name : architecture_names()) {
    const ArchitectureDefaults usual = architecture_defaults(name);
    const NetworkGraph graph = build_architecture(name, {}, usual.input_size);
    const auto layers = std::ranges::count_if(graph.nodes(), is_layer);
    fmt::print("  {:<14} {:>3} layers, clips of {}x{}x{}, preset {}\n", name, layers,
               usual.input_size[0], usual.input_size[1], usual.input_size[2], usual.preset);
  }
}

void list_presets() {
  for (const std::string& name : preprocess_preset_names()) {
    const PreprocessOptions& preset = preprocess_preset(name);
    fmt::print("  {:<16} resize {}, crop {}, values {:g}..{:g}, mean [{:g}], std [{:g}]\n", name,
               preset.resize_mode == ResizeMode::kNone ? "none" : fmt::format("{}", preset.resize),
               preset.crop, preset.range_min, preset.range_max, fmt::join(preset.mean, ", "),
               fmt::join(preset.std, ", "));
  }
}

ExitCode list_things(const std::string& what) {
  const bool all = what == "all";
  if (all || what == "datasets") {
    fmt::print("data sets (dataset.type)\n  {}\n", fmt::join(dataset_types(), "\n  "));
  }
  if (all || what == "networks") {
    fmt::print("networks (network.type)\n");
    list_networks();
  }
  if (all || what == "presets") {
    fmt::print("presets (preprocess.preset)\n");
    list_presets();
  }
  if (all || what == "scorers") {
    fmt::print("scorers (explain.method)\n  {}\n",
               fmt::join(find_key("explain.method")->words, "\n  "));
  }
  return ExitCode::kDone;
}

}  // namespace

void add_list(CLI::App& app, Command& command) {
  auto what = std::make_shared<std::string>("all");
  CLI::App* verb = app.add_subcommand("list", "List data sets, networks, presets and scorers");
  verb->add_option("what", *what, "datasets, networks, presets, scorers or all")
      ->check(CLI::IsMember({"datasets", "networks", "presets", "scorers", "all"}));
  verb->callback([what, &command] { command = [what] { return list_things(*what); }; });
}

}  // namespace cfp
