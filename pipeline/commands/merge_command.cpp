#include <memory>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "pipeline/commands/commands.h"
#include "pipeline/run/merge.h"

namespace cfp {
namespace {

struct Arguments {
  std::string work_dir;
  bool copy = false, quiet = false;
};

ExitCode merge(const Arguments& arguments) {
  const MergeSummary summary =
      merge_run(arguments.work_dir, arguments.copy ? PartsAs::kCopies : PartsAs::kLinks);
  if (!arguments.quiet) fmt::print("{}\n", summary.text);
  fmt::print("{} parts: {} of {} clips explained, {} failed{}; merged in {}\n", summary.parts,
             summary.end.done, summary.end.asked, summary.end.failed,
             summary.end.random_weights ? ", RANDOM WEIGHTS" : "", arguments.work_dir);
  if (!summary.end.reason.empty()) fmt::print(stderr, "cfp: {}\n", summary.end.reason);
  return summary.end.exit_code;
}

}  // namespace

void add_merge(CLI::App& app, Command& command) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* verb = app.add_subcommand("merge", "Put the shards of a run together");
  verb->add_option("work_dir", arguments->work_dir, "Folder that holds shards/")->required();
  verb->add_flag("--copy", arguments->copy,
                 "Copy the parts into merged.h5, which without it holds links to them");
  verb->add_flag("-q,--quiet", arguments->quiet, "No tables on the terminal");
  verb->callback([arguments, &command] { command = [arguments] { return merge(*arguments); }; });
}

}  // namespace cfp
