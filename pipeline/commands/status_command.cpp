#include <memory>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "pipeline/commands/commands.h"
#include "pipeline/run/status.h"

namespace cfp {

void add_status(CLI::App& app, Command& command) {
  auto work_dir = std::make_shared<std::string>();
  CLI::App* verb =
      app.add_subcommand("status", "Show how far a run and its shards are, from their files alone");
  verb->add_option("work_dir", *work_dir, "Folder of the run")->required();
  verb->callback([work_dir, &command] {
    command = [work_dir] {
      fmt::print("{}", describe(read_status(*work_dir)));
      return ExitCode::kDone;
    };
  });
}

}  // namespace cfp
