#include <CLI/CLI.hpp>

#include "pipeline/commands/commands.h"

namespace cfp {

void ConfigArguments::add_to(CLI::App& verb, bool file_is_required) {
  verb.add_option("config", file, "YAML file; docs/configuration.md lists its keys")
      ->required(file_is_required);
  verb.add_option("overrides", overrides, "section.key=value, as many as you like")
      ->type_name("KEY=VALUE");
}

}  // namespace cfp
