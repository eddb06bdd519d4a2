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
  bool quiet = false, fresh = false;
  std::string resume = "same", shard;
};

ResumeMode resume_mode(const Arguments& arguments, const ResolvedConfig& config) {
  if (arguments.fresh || config.output.overwrite) return ResumeMode::kFresh;
  return arguments.resume == "force" ? ResumeMode::kForce : ResumeMode::kSame;
}

void report(const RunSummary& summary, const std::optional<Shard>& shard) {
  if (summary.was_complete) {
    fmt::print(
        "Nothing to do: {} is complete ({} of {} clips explained, {} failed); --fresh does "
        "it again\n",
        summary.folder.string(), summary.done, summary.asked, summary.failed);
    return;
  }
  if (!summary.text.empty()) fmt::print("{}\n", summary.text);
  if (shard) fmt::print("shard {} of {}: ", shard->index, shard->count);
  fmt::print("{} of {} clips explained, {} failed{}{}; results are in {}\n", summary.done,
             summary.asked, summary.failed,
             summary.earlier > 0 ? fmt::format(" ({} of them earlier)", summary.earlier) : "",
             summary.random_weights ? ", RANDOM WEIGHTS" : "", summary.folder.string());
}

ExitCode run_config(const Arguments& arguments, const std::string& line) {
  ResolvedConfig config =
      resolve_config(load_config(arguments.config.file, arguments.config.overrides));
  const ShardChoice choice = choose_shard(arguments.shard, variable_of_environment);
  if (choice.shard) {
    fmt::print("shard {} of {} ({})\n", choice.shard->index, choice.shard->count, choice.source);
    std::fflush(stdout);
  }
  const ResumeMode resume = resume_mode(arguments, config);
  const SignalWatch watch;
  RunSummary summary = run(std::move(config), {.command = line,
                                               .overrides = arguments.config.overrides,
                                               .show_progress = !arguments.quiet,
                                               .resume = resume,
                                               .shard = choice.shard,
                                               .stop_signal = SignalWatch::received});
  if (arguments.quiet) summary.text.clear();
  report(summary, choice.shard);
  if (!summary.reason.empty()) fmt::print(stderr, "cfp: {}\n", summary.reason);
  return summary.exit_code;
}

}  // namespace

void add_run(CLI::App& app, const std::string& line, Command& command) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* verb = app.add_subcommand("run", "Explain the clips that a config names");
  arguments->config.add_to(*verb);
  verb->add_flag("-q,--quiet", arguments->quiet, "No progress and no tables on the terminal");
  CLI::Option* resume =
      verb->add_option("--resume", arguments->resume,
                       "Where the folder holds finished clips: same (the default) goes on from "
                       "them if config, manifest and weights are the same; force, also if not")
          ->check(CLI::IsMember({"same", "force"}));
  verb->add_flag("--fresh", arguments->fresh, "Remove the results in the folder and begin anew")
      ->excludes(resume);
  verb->add_option("--shard", arguments->shard,
                   "i/n: of n shards of the rows do the i-th, from 0; none: do all; without it, "
                   "what the batch system says")
      ->type_name("I/N");
  verb->callback([arguments, line, &command] {
    command = [arguments, line] { return run_config(*arguments, line); };
  });
}

}  // namespace cfp
