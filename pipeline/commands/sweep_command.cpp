#include <memory>
#include <optional>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "pipeline/commands/commands.h"
#include "pipeline/run/signal_watch.h"
#include "pipeline/sweep/sweep_run.h"
#include "pipeline/sweep/sweep_table.h"

namespace cfp {
namespace {

struct Arguments {
  std::string config;
  std::vector<std::string> words;
  bool zip = false, list = false, table = false;
  std::optional<std::size_t> job;
  RunArguments run;
};

void report(const SweepPoint& point, const RunSummary& summary) {
  if (summary.was_complete) {
    fmt::print("{}: complete already\n", point.name);
  } else {
    fmt::print("{}: {} of {} clips explained, {} failed\n", point.name, summary.end.done,
               summary.end.asked, summary.end.failed);
  }
  std::fflush(stdout);
  if (!summary.end.reason.empty()) {
    fmt::print(stderr, "cfp: point {}: {}\n", point.name, summary.end.reason);
  }
}

ExitCode sweep(const Arguments& arguments, const std::string& line) {
  const SignalWatch watch;
  const Sweep sweep = plan_sweep(arguments.config, arguments.words, arguments.zip);
  if (arguments.list) {
    fmt::print("{}", describe(sweep));
    return ExitCode::kDone;
  }
  ExitCode code = ExitCode::kDone;
  if (arguments.table) {
    write_sweep_csv(sweep);
  } else {
    // What a batch system says is not asked: the members of an array may be the jobs here.
    code = run_sweep(sweep, arguments.job, arguments.run.options(line), report);
  }
  fmt::print("{} is up to date\n", (sweep.folder / "sweep.csv").string());
  return code;
}

}  // namespace

void add_sweep(CLI::App& app, const std::string& line, Command& command) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* verb = app.add_subcommand(
      "sweep", "Run a config once for each of several settings, sharing what they can");
  verb->add_option("config", arguments->config, "YAML file, with or without a section `sweep`")
      ->required();
  verb->add_option("settings", arguments->words,
                   "section.key=a,b,c to go through values, section.key=value for all points")
      ->type_name("KEY=VALUES");
  verb->add_flag(
      "--zip", arguments->zip,
      "Take the first values together, then the second, …; without it, all combinations");
  CLI::Option* list =
      verb->add_flag("--list", arguments->list, "Show the points, the job of each, and its state");
  CLI::Option* job =
      verb->add_option("--job", arguments->job, "Do this job alone, counted from 0: for job arrays")
          ->excludes(list);
  verb->add_flag("--table", arguments->table, "Only write sweep.csv, from what is there")
      ->excludes(list)
      ->excludes(job);
  arguments->run.add_to(*verb);
  verb->callback([arguments, line, &command] {
    command = [arguments, line] { return sweep(*arguments, line); };
  });
}

}  // namespace cfp
