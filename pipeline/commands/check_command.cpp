#include <algorithm>
#include <functional>
#include <memory>
#include <optional>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "pipeline/commands/commands.h"
#include "pipeline/run/disk_space.h"
#include "pipeline/run/media_check.h"
#include "pipeline/run/prepare.h"
#include "pipeline/run/sample_accuracy.h"
#include "stages/pyramid/plan.h"

namespace cfp {
namespace {

struct Arguments {
  ConfigArguments config;
  std::string probe = "header";
  std::string bad_clips = "bad_clips.csv";
  std::int64_t sample = 0;
};

/// Goes on after an error, so that one check shows all there is, and remembers the worst.
class Findings {
 public:
  template <class Action>
  void attempt(const Action& action) {
    try {
      action();
    } catch (const ConfigError& error) {
      note(ExitCode::kConfig, error.what());
    } catch (const SystemError& error) {
      note(ExitCode::kSystem, error.what());
    }
  }
  void note(ExitCode code, const std::string& what) {
    fmt::print("ERROR       {}\n", what);
    // What the user must edit comes before what the machine must be given, before bad clips.
    if (exit_code_ == ExitCode::kDone || rank(code) > rank(exit_code_)) exit_code_ = code;
  }
  ExitCode exit_code() const { return exit_code_; }

 private:
  static int rank(ExitCode code) {
    return code == ExitCode::kConfig ? 2 : code == ExitCode::kSystem ? 1 : 0;
  }
  ExitCode exit_code_ = ExitCode::kDone;
};

std::string in_gigabytes(std::int64_t bytes) {
  return fmt::format("{:.3g} GB", static_cast<double>(bytes) / 1e9);
}

void show_network(const Network& network) {
  fmt::print("network     {}, {} classes{}\n", network.architecture, network.num_classes(),
             network.random_weights ? ", RANDOM WEIGHTS" : "");
  for (const std::string& note : network.notes) fmt::print("note        {}\n", note);
}

void show_prepared(const Prepared& prepared) {
  show_network(*prepared.network);
  fmt::print("labels      {}\n", prepared.labels->how);
  fmt::print("preprocess  {}\n", prepared.preprocess.preset);
  fmt::print("pyramid     {} layers\n",
             plan_pyramid(prepared.network->graph, prepared.config.explain).layers.size());
}

void check_disk(const Prepared& prepared, Findings& findings) {
  const auto need = disk_need(prepared);
  if (!need) {
    fmt::print("disk        depends on the size of the videos\n");
    return;
  }
  const auto free = free_bytes(prepared.config.output.work_dir);
  fmt::print(
      "disk        about {}: {} for relevance and tubes, {} for edges where a tenth of the "
      "kernels is found; {} free\n",
      in_gigabytes(need->total()), in_gigabytes(need->certain_bytes),
      in_gigabytes(need->edge_bytes), free ? in_gigabytes(*free) : "an unknown amount");
  if (free && need->certain_bytes > *free) {
    findings.note(ExitCode::kSystem, fmt::format("output.work_dir: {} has too little space left",
                                                 prepared.config.output.work_dir));
  }
}

MediaCheck check_files(const Manifest& manifest, const ResolvedConfig& config,
                       const Arguments& arguments, Findings& findings) {
  const ProbeDepth depth = probe_depth(arguments.probe);
  MediaCheck check = check_media(manifest, depth, check_options(config));
  fmt::print("{}", describe(check));
  const auto unlabelled = std::ranges::count_if(
      manifest.rows, [](const ClipRequest& row) { return !row.label.has_value(); });
  if (unlabelled > 0 && config.explain.target == TargetKind::kLabel) {
    fmt::print("  {:<15} {}, which are explained by what the network predicts\n",
               to_string(FailureReason::kNoLabel), unlabelled);
  }
  write_bad_clips(arguments.bad_clips, manifest, check);
  const auto rows = static_cast<std::int64_t>(manifest.rows.size());
  const std::int64_t allowed = config.max_failures.allowed(rows);
  fmt::print("bad clips   {} in {}; up to {} may fail\n", check.bad(), arguments.bad_clips,
             allowed);
  if (check.bad() > allowed) {
    findings.note(ExitCode::kTooManyFailures,
                  fmt::format("dataset.max_failures: {} of {} clips have a problem, {} are allowed",
                              check.bad(), rows, allowed));
  }
  return check;
}

void check_sample(const Prepared& prepared, const std::optional<MediaCheck>& files,
                  std::int64_t clips, Findings& findings) {
  if (prepared.network->random_weights) {
    fmt::print("sample      left out: random weights predict nothing\n");
    return;
  }
  findings.attempt([&] {
    const AccuracyKey key = accuracy_key(prepared);
    fmt::print("{}", describe(sample_accuracy(prepared, files ? &*files : nullptr, clips), key,
                              published_accuracy(key)));
  });
}

ExitCode check_config(const Arguments& arguments) {
  ResolvedConfig config =
      resolve_config(load_config(arguments.config.file, arguments.config.overrides));
  fmt::print("config      {}: hash {:016x}\n", arguments.config.file, config.values.results_hash());
  Findings findings;
  std::optional<Manifest> manifest;
  findings.attempt([&] {
    manifest = load_manifest_of(config);
    fmt::print("data set    {} rows: {}\n", manifest->rows.size(), manifest->provenance);
    for (const std::string& note : manifest->notes) fmt::print("  {}\n", note);
  });
  std::optional<Prepared> prepared;
  findings.attempt([&] {
    if (manifest) {
      prepared = prepare(config, *manifest);
      show_prepared(*prepared);
      check_disk(*prepared, findings);
    } else {
      ResolvedConfig copy = config;
      PreprocessOptions preprocess;
      show_network(load_for_clips(copy, preprocess));
    }
  });
  std::optional<MediaCheck> files;
  if (manifest) {
    findings.attempt([&] { files = check_files(*manifest, config, arguments, findings); });
  }
  if (prepared && arguments.sample > 0) {
    check_sample(*prepared, files, arguments.sample, findings);
  }
  return findings.exit_code();
}

}  // namespace

void add_check(CLI::App& app, Command& command) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* verb = app.add_subcommand(
      "check", "Check a config, its data set, files and checkpoint without explaining anything");
  arguments->config.add_to(*verb);
  verb->add_option("--probe", arguments->probe,
                   "What is read of each media file: none, header or full (decodes everything)")
      ->check(CLI::IsMember({"none", "header", "full"}))
      ->capture_default_str();
  verb->add_option("--bad-clips", arguments->bad_clips, "The list of bad clips to write")
      ->capture_default_str();
  verb->add_option("--sample", arguments->sample,
                   "Run so many labelled clips, and compare top-1 with what is published")
      ->check(CLI::PositiveNumber);
  verb->callback(
      [arguments, &command] { command = [arguments] { return check_config(*arguments); }; });
}

}  // namespace cfp
