#include <cstdio>
#include <memory>
#include <optional>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "pipeline/cluster/shard.h"
#include "pipeline/commands/commands.h"
#include "pipeline/run/run.h"
#include "pipeline/run/signal_watch.h"

namespace cfp {
namespace {

struct Arguments {
  ConfigArguments config;
  RunArguments run;
};

void report(const RunSummary& summary, const std::optional<Shard>& shard) {
  if (summary.was_complete) {
    fmt::print(
        "Nothing to do: {} is complete ({} of {} clips explained, {} failed); --fresh does "
        "it again\n",
        summary.folder.string(), summary.end.done, summary.end.asked, summary.end.failed);
    return;
  }
  if (!summary.text.empty()) fmt::print("{}\n", summary.text);
  if (shard) fmt::print("shard {} of {}: ", shard->index, shard->count);
  fmt::print("{} of {} clips explained, {} failed{}{}; results are in {}\n", summary.end.done,
             summary.end.asked, summary.end.failed,
             summary.earlier > 0 ? fmt::format(" ({} of them earlier)", summary.earlier) : "",
             summary.end.random_weights ? ", RANDOM WEIGHTS" : "", summary.folder.string());
}

ExitCode run_config(const Arguments& arguments, const std::string& line) {
  // Before anything is read: a signal must not find the program without an answer.
  const SignalWatch watch;
  ResolvedConfig config =
      resolve_config(load_config(arguments.config.file, arguments.config.overrides));
  if (const ConfigTree& sweep = config.values.sweep(); !sweep.is_null()) {
    throw ConfigError(
        fmt::format("{}: sweep: `cfp run` does a single run; `cfp sweep` goes through the values",
                    sweep.where.to_string()));
  }
  RunOptions options = arguments.run.options(line);
  const ShardChoice choice = choose_shard(arguments.run.shard, variable_of_environment);
  options.shard = choice.shard;
  if (choice.shard) {
    fmt::print("shard {} of {} ({})\n", choice.shard->index, choice.shard->count, choice.source);
    std::fflush(stdout);
  }
  RunSummary summary = run({std::move(config), arguments.config.overrides}, options);
  if (arguments.run.quiet) summary.text.clear();
  report(summary, choice.shard);
  if (!summary.end.reason.empty()) fmt::print(stderr, "cfp: {}\n", summary.end.reason);
  return summary.end.exit_code;
}

}  // namespace

void add_run(CLI::App& app, const std::string& line, Command& command) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* verb = app.add_subcommand("run", "Explain the clips that a config names");
  arguments->config.add_to(*verb);
  arguments->run.add_to(*verb);
  verb->callback([arguments, line, &command] {
    command = [arguments, line] { return run_config(*arguments, line); };
  });
}

}  // namespace cfp
