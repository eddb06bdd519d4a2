#include <memory>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "pipeline/commands/commands.h"
#include "pipeline/run/run.h"
#include "pipeline/run/signal_watch.h"

namespace cfp {
namespace {

struct Arguments {
  ConfigArguments config;
  bool quiet = false;
};

ExitCode run_config(const Arguments& arguments, const std::string& line) {
  ResolvedConfig config =
      resolve_config(load_config(arguments.config.file, arguments.config.overrides));
  const SignalWatch watch;
  const RunSummary summary = run(std::move(config), {.command = line,
                                                     .overrides = arguments.config.overrides,
                                                     .show_progress = !arguments.quiet,
                                                     .stop_signal = SignalWatch::received});
  if (!arguments.quiet) fmt::print("{}\n", summary.text);
  fmt::print("{} of {} clips explained, {} failed{}; results are in {}\n", summary.done,
             summary.asked, summary.failed, summary.random_weights ? ", RANDOM WEIGHTS" : "",
             summary.folder.string());
  if (!summary.reason.empty()) fmt::print(stderr, "cfp: {}\n", summary.reason);
  return summary.exit_code;
}

}  // namespace

void add_run(CLI::App& app, const std::string& line, Command& command) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* verb = app.add_subcommand("run", "Explain the clips that a config names");
  arguments->config.add_to(*verb);
  verb->add_flag("-q,--quiet", arguments->quiet, "No progress and no tables on the terminal");
  verb->callback([arguments, line, &command] {
    command = [arguments, line] { return run_config(*arguments, line); };
  });
}

}  // namespace cfp
