#include <memory>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "pipeline/commands/commands.h"
#include "pipeline/config/documentation.h"
#include "pipeline/config/options.h"

namespace cfp {
namespace {

struct Arguments {
  ConfigArguments config;
  bool docs = false, json_schema = false;
};

ExitCode show_config(const Arguments& arguments) {
  if (arguments.docs || arguments.json_schema) {
    fmt::print("{}", arguments.docs ? config_reference_markdown() : config_json_schema());
    return ExitCode::kDone;
  }
  if (arguments.config.file.empty()) {
    throw ConfigError("command line: name a config, or ask for --docs or --json-schema");
  }
  const ResolvedConfig config =
      resolve_config(load_config(arguments.config.file, arguments.config.overrides));
  fmt::print("{}", config.values.to_yaml());
  return ExitCode::kDone;
}

}  // namespace

void add_config(CLI::App& app, Command& command) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* verb = app.add_subcommand(
      "config", "Show what a config comes to, with where each value was written");
  arguments->config.add_to(*verb, false);
  CLI::Option* docs = verb->add_flag("--docs", arguments->docs, "Write docs/configuration.md");
  verb->add_flag("--json-schema", arguments->json_schema, "Write a JSON Schema for editors")
      ->excludes(docs);
  verb->callback(
      [arguments, &command] { command = [arguments] { return show_config(*arguments); }; });
}

}  // namespace cfp
