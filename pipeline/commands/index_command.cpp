#include <memory>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "datasets/dataset.h"
#include "pipeline/commands/commands.h"
#include "pipeline/config/options.h"
#include "pipeline/run/media_check.h"
#include "pipeline/run/prepare.h"

namespace cfp {
namespace {

struct Arguments {
  ConfigArguments config;
  std::string out = "manifest.csv";
  std::string probe = "header";
};

ExitCode index_dataset(const Arguments& arguments) {
  const ResolvedConfig config =
      resolve_config(load_config(arguments.config.file, arguments.config.overrides));
  Manifest manifest = load_manifest_of(config);
  fmt::print("data set    {}\n", manifest.provenance);
  for (const std::string& note : manifest.notes) fmt::print("  {}\n", note);
  if (const ProbeDepth depth = probe_depth(arguments.probe); depth != ProbeDepth::kNone) {
    MediaCheck check = check_media(manifest, depth, check_options(config));
    for (std::size_t i = 0; i < manifest.rows.size(); ++i) {
      manifest.rows[i].facts = check.rows[i].facts;
      manifest.rows[i].problem = check.rows[i].problem;
    }
    fmt::print("{}", describe(check));
  }
  make_paths_absolute(manifest);  // it is read from other folders than this one
  write_manifest(arguments.out, manifest);
  fmt::print("manifest    {} rows in {}\n", manifest.rows.size(), arguments.out);
  return ExitCode::kDone;
}

}  // namespace

void add_index(CLI::App& app, Command& command) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* verb = app.add_subcommand(
      "index", "Find the clips of a data set on disk and write them down, a row each");
  arguments->config.add_to(*verb);
  verb->add_option("--out", arguments->out, "The manifest to write")->capture_default_str();
  verb->add_option("--probe", arguments->probe,
                   "What is read of each media file: none, header or full (decodes everything)")
      ->check(CLI::IsMember({"none", "header", "full"}))
      ->capture_default_str();
  verb->callback(
      [arguments, &command] { command = [arguments] { return index_dataset(*arguments); }; });
}

}  // namespace cfp
