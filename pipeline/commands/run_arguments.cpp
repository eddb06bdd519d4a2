#include <CLI/CLI.hpp>

#include "pipeline/commands/commands.h"
#include "pipeline/run/signal_watch.h"

namespace cfp {

void RunArguments::add_to(CLI::App& verb) {
  verb.add_flag("-q,--quiet", quiet, "No progress and no tables on the terminal");
  CLI::Option* mode =
      verb.add_option("--resume", resume,
                      "Where the folder holds finished clips: same (the default) goes on from "
                      "them if config, manifest and weights are the same; force, also if not")
          ->check(CLI::IsMember({"same", "force"}));
  verb.add_flag("--fresh", fresh, "Remove the results in the folder and begin anew")
      ->excludes(mode);
  verb.add_option("--shard", shard,
                  "i/n: of n shards of the rows do the i-th, from 0; none: do all; without it, "
                  "what the batch system says")
      ->type_name("I/N");
}

RunOptions RunArguments::options(const std::string& line) const {
  const auto nothing = [](const char*) -> std::optional<std::string> { return std::nullopt; };
  return {.command = line,
          .show_progress = !quiet,
          .resume = fresh               ? ResumeMode::kFresh
                    : resume == "force" ? ResumeMode::kForce
                                        : ResumeMode::kSame,
          .shard = choose_shard(shard, nothing).shard,
          .stop_signal = SignalWatch::received};
}

}  // namespace cfp
