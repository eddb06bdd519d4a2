// The program: reads the command line, does what the verb says, turns errors into exit codes.

#include <algorithm>
#include <exception>
#include <new>
#include <system_error>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "pipeline/cluster/shell_word.h"
#include "pipeline/commands/commands.h"
#include "pipeline/config/scalars.h"
#include "pipeline/run/build_info.h"
#include "stages/core/memory.h"

namespace cfp {
namespace {

/// The command line as one could type it again.
std::string command_line(int count, char** words) {
  std::string line;
  for (int i = 0; i < count; ++i) line += (i > 0 ? " " : "") + shell_word(words[i]);
  return line;
}

/// CLI11 would only say that a verb is missing.
void refuse_unknown_verb(const CLI::App& app, int count, char** words) {
  if (count < 2 || words[1][0] == '-') return;
  std::vector<std::string> verbs;
  for (const CLI::App* verb : app.get_subcommands({})) verbs.push_back(verb->get_name());
  if (std::ranges::find(verbs, words[1]) != verbs.end()) return;
  throw ConfigError(fmt::format("no verb is called '{}'{}; there are: {}", words[1],
                                did_you_mean(words[1], verbs), fmt::join(verbs, ", ")));
}

ExitCode run_command_line(int count, char** words) {
  CLI::App app("Explains what 3D video networks look at, and which of their kernels make a class.",
               "cfp");
  app.set_version_flag("--version",
                       fmt::format("cfp {} ({})", build_info().version, build_info().git));
  app.require_subcommand(1);
  app.footer(
      "Exit codes: 0 done, 1 a bug, 2 config or usage, 3 too many clips failed, 4 disk, device "
      "or checkpoint, 75 stopped by a signal, 130 ^C.");
  Command command;
  add_run(app, command_line(count, words), command);
  add_sweep(app, command_line(count, words), command);
  add_submit(app, command);
  add_check(app, command);
  add_index(app, command);
  add_status(app, command);
  add_merge(app, command);
  add_render(app, command);
  add_export_graph(app, command);
  add_config(app, command);
  add_list(app, command);
  add_inspect(app, command);
  add_convert(app, command);
  add_doctor(app, command);
  refuse_unknown_verb(app, count, words);
  try {
    app.parse(count, words);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? ExitCode::kDone : ExitCode::kConfig;
  }
  return command();
}

ExitCode fail(ExitCode code, const char* what) {
  fmt::print(stderr, "cfp: {}\n", what);
  return code;
}

}  // namespace
}  // namespace cfp

int main(int count, char** words) {
  using cfp::ExitCode;
  cfp::keep_freed_memory();
  ExitCode code = ExitCode::kBug;
  try {
    code = cfp::run_command_line(count, words);
  } catch (const cfp::ConfigError& error) {
    code = cfp::fail(ExitCode::kConfig, error.what());
  } catch (const cfp::DataError& error) {
    code = cfp::fail(ExitCode::kTooManyFailures, error.what());
  } catch (const cfp::SystemError& error) {
    code = cfp::fail(ExitCode::kSystem, error.what());
  } catch (const std::system_error& error) {  // of files and of threads
    code = cfp::fail(ExitCode::kSystem, error.what());
  } catch (const std::bad_alloc&) {
    code = cfp::fail(ExitCode::kSystem, "out of memory");
  } catch (const std::exception& error) {
    code = cfp::fail(ExitCode::kBug, fmt::format("a bug of ours: {}", error.what()).c_str());
  }
  return static_cast<int>(code);
}
