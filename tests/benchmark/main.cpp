// cfp_benchmark: what things cost, as ratios of two things measured in turn in one run.
#include <exception>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "stages/core/memory.h"
#include "stages/network/builders.h"
#include "tests/benchmark/explain_benchmark.h"
#include "tests/benchmark/pipeline_benchmark.h"

namespace cfp::benchmark {
namespace {

void add_pipeline(CLI::App& app, const char* name, const char* what,
                  void (*body)(const PipelineSettings&), PipelineSettings& settings) {
  CLI::App* command = app.add_subcommand(name, what);
  command->add_option("networks", settings.networks, "architectures; default: resnet50_3d mfnet3d");
  command->add_option("--clips", settings.clips, "videos, all of which can be read")
      ->required()
      ->check(CLI::ExistingFile);
  command->add_option("--rows", settings.rows, "clips of a run: copies of the videos in turn")
      ->check(CLI::PositiveNumber);
  command->add_option("--python", settings.python,
                      "a Python that has PyTorch and OpenCV; empty: goes without");
  command->add_option("--runs", settings.runs, "runs of everything, in turns");
  command->add_option("--batch-size", settings.batch_size, "of both sides");
  command->add_option("--set", settings.overrides, "key=value of our config, as of `cfp run`");
  command->callback([&settings, body] { body(settings); });
}

}  // namespace
}  // namespace cfp::benchmark

int main(int argc, char** argv) {
  using namespace cfp::benchmark;
  cfp::keep_freed_memory();
  CLI::App app{"Measures cfp against PyTorch and against itself"};
  app.require_subcommand(1);
  Settings settings{.networks = cfp::architecture_names()};
  const auto add = [&](const char* name, const char* what, void (*body)(const Settings&)) {
    CLI::App* command = app.add_subcommand(name, what);
    command->add_option("networks", settings.networks, "architectures; default: all six");
    command->add_option("--python", settings.python,
                        "a Python that has PyTorch; empty: pyramid goes without");
    command->add_option("--threads", settings.threads, "threads of both sides");
    command->add_option("--runs", settings.runs, "counted runs after one to warm up");
    command->add_flag("--cpu-time", settings.cpu_time,
                      "processor time instead of wall time: for a busy machine, with --threads 1");
    command->add_flag("--full-size", settings.full_size, "16x224x224 for every network");
    command->callback([&settings, body] { body(settings); });
  };
  add("forward", "forward with every value kept against PyTorch's eager forward", forward);
  add("explain", "explanations against our own forward", explain);
  add("pyramid", "whole pyramids against our own forward, autograd and Python", pyramid);
  add("profile", "where a forward's time goes, node by node", profile);
  PipelineSettings of_pipeline;
  add_pipeline(app, "pipeline",
               "whole runs against what their stages allow, and against a pipeline in Python",
               pipeline, of_pipeline);
  add_pipeline(app, "sweep", "ten thresholds against one", sweep, of_pipeline);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error);
  } catch (const std::exception& error) {
    fmt::print(stderr, "cfp_benchmark: {}\n", error.what());
    return 1;
  }
  return 0;
}
