#include <map>
#include <memory>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "pipeline/commands/commands.h"
#include "pipeline/run/prepare.h"
#include "stages/decode/video_decoder.h"
#include "stages/pyramid/plan.h"

namespace cfp {
namespace {

struct Arguments {
  ConfigArguments config;
  bool skip_files = false;
};

/// Opens every file without decoding pictures.
/// @return how many are bad, by reason; each is printed
std::map<std::string, std::int64_t> check_files(const Prepared& prepared) {
  std::map<std::string, std::int64_t> bad;
  for (const ClipRequest& row : prepared.manifest.rows) {
    try {
      probe(row.media.path, {.time_limit_s = prepared.config.runtime.clip_timeout_s});
    } catch (const DataError& error) {
      ++bad[std::string(to_string(error.reason()))];
      fmt::print("  {}: {}\n", to_string(error.reason()), error.what());
    }
  }
  return bad;
}

ExitCode check_config(const Arguments& arguments) {
  const Prepared prepared =
      prepare(resolve_config(load_config(arguments.config.file, arguments.config.overrides)));
  const Network& network = *prepared.network;
  const auto rows = static_cast<std::int64_t>(prepared.manifest.rows.size());
  fmt::print("config      {}: hash {:016x}\n", arguments.config.file,
             prepared.config.values.results_hash());
  fmt::print("data set    {} rows: {}\n", rows, prepared.manifest.provenance);
  fmt::print("network     {}, {} classes{}\n", network.architecture, network.num_classes(),
             network.random_weights ? ", RANDOM WEIGHTS" : "");
  for (const std::string& note : network.notes) fmt::print("note        {}\n", note);
  fmt::print("labels      {}\n", prepared.labels.how);
  fmt::print("preprocess  {}\n", prepared.preprocess.preset);
  fmt::print("pyramid     {} layers\n",
             plan_pyramid(network.graph, prepared.config.explain).layers.size());
  if (arguments.skip_files) return ExitCode::kDone;

  std::int64_t failed = 0;
  for (const auto& [reason, count] : check_files(prepared)) {
    fmt::print("  {} x {}\n", count, reason);
    failed += count;
  }
  const std::int64_t allowed = prepared.config.max_failures.allowed(rows);
  fmt::print("files       {} of {} can be opened; up to {} may fail\n", rows - failed, rows,
             allowed);
  return failed > allowed ? ExitCode::kTooManyFailures : ExitCode::kDone;
}

}  // namespace

void add_check(CLI::App& app, Command& command) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* verb = app.add_subcommand(
      "check", "Check a config, its data set, files and checkpoint without explaining anything");
  arguments->config.add_to(*verb);
  verb->add_flag("--skip-files", arguments->skip_files, "Do not open the media files");
  verb->callback(
      [arguments, &command] { command = [arguments] { return check_config(*arguments); }; });
}

}  // namespace cfp
