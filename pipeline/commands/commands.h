// The verbs of the command line, a file each.
//
// Each function adds its verb to the parser; the verb's work is done when it is called. It returns
// the exit code, or throws the errors of stages/core/errors.h, which main.cpp turns into one.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include <CLI/App.hpp>

#include "pipeline/run/run.h"
#include "stages/core/errors.h"

namespace cfp {

/// What the verb on the command line does when it is its turn.
using Command = std::function<ExitCode()>;

/// @param line     the command line, for the records of a run
/// @param command  set when the verb is there
void add_run(CLI::App& app, const std::string& line, Command& command);
void add_sweep(CLI::App& app, const std::string& line, Command& command);
void add_submit(CLI::App& app, Command& command);
void add_check(CLI::App& app, Command& command);
void add_index(CLI::App& app, Command& command);
void add_config(CLI::App& app, Command& command);
void add_list(CLI::App& app, Command& command);
void add_inspect(CLI::App& app, Command& command);
void add_convert(CLI::App& app, Command& command);
void add_merge(CLI::App& app, Command& command);
void add_status(CLI::App& app, Command& command);
void add_render(CLI::App& app, Command& command);
void add_export_graph(CLI::App& app, Command& command);
void add_doctor(CLI::App& app, Command& command);

/// The file of a config and the `key=value` behind it, as `run` and others take them.
struct ConfigArguments {
  std::string file;
  std::vector<std::string> overrides;

  void add_to(CLI::App& verb, bool file_is_required = true);
};

/// How rows are gone through, as `run` and `sweep` take it.
struct RunArguments {
  bool quiet = false, fresh = false;
  std::string resume = "same", shard;

  void add_to(CLI::App& verb);
  /// @param line  the command line
  /// @return the options, with the shard that is named
  RunOptions options(const std::string& line) const;
};

}  // namespace cfp
