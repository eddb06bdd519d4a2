#include <memory>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "pipeline/commands/commands.h"
#include "pipeline/run/export_graph.h"

namespace cfp {
namespace {

struct Arguments {
  std::string work_dir, clip_id, out, format = "json", nodes = "found";
  bool no_routes = false;
  GraphExportOptions options;
};

ExitCode export_clip(const Arguments& arguments) {
  GraphExportOptions options = arguments.options;
  options.format = arguments.format == "json" ? GraphFormat::kJson : GraphFormat::kGraphml;
  options.nodes = arguments.nodes == "all"     ? GraphNodes::kAll
                  : arguments.nodes == "found" ? GraphNodes::kFound
                                               : GraphNodes::kReached;
  options.routes = !arguments.no_routes;
  const FinishedRun run(arguments.work_dir);
  const std::filesystem::path file = arguments.out.empty()
                                         ? usual_graph_file(run, arguments.clip_id, options)
                                         : std::filesystem::path(arguments.out);
  if (run.header().random_weights) fmt::print("RANDOM WEIGHTS: the numbers say nothing\n");
  export_graph(run, arguments.clip_id, options, file);
  fmt::print("{}\n", file.string());
  return ExitCode::kDone;
}

}  // namespace

void add_export_graph(CLI::App& app, Command& command) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* verb =
      app.add_subcommand("export-graph", "Write the pyramid of one clip as JSON or GraphML");
  verb->add_option("work_dir", arguments->work_dir, "Folder of a finished run")->required();
  verb->add_option("clip_id", arguments->clip_id, "Id of a clip")->required();
  verb->add_option("--format", arguments->format, "json (everything) or graphml (for viewers)")
      ->check(CLI::IsMember({"json", "graphml"}));
  verb->add_option("--nodes", arguments->nodes,
                   "Kernels and channels in GraphML: reached, found (the default) or all")
      ->check(CLI::IsMember({"reached", "found", "all"}));
  verb->add_option("--target", arguments->options.target,
                   "Which of several targets of the clip, from 0")
      ->check(CLI::Range(0, 1'000'000));
  verb->add_option("--view", arguments->options.view, "Which of several views, from 0")
      ->check(CLI::Range(0, 1'000'000));
  verb->add_flag("--no-routes", arguments->no_routes,
                 "Leave out which kernel makes which channel; does not need the checkpoint");
  verb->add_option("--out", arguments->out,
                   "File to write; without it, in the folder WORK_DIR/graphs")
      ->type_name("FILE");
  verb->callback(
      [arguments, &command] { command = [arguments] { return export_clip(*arguments); }; });
}

}  // namespace cfp
