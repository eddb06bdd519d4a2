#include <memory>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "datasets/class_names.h"
#include "pipeline/commands/commands.h"
#include "stages/network/checkpoint/inspect.h"

namespace cfp {
namespace {

struct Arguments {
  std::string input, output, class_names;
  int num_classes = 0;
  ConvertOptions options;
};

ExitCode convert_file(const Arguments& arguments) {
  ConvertOptions options = arguments.options;
  if (!arguments.class_names.empty()) options.class_names = read_class_list(arguments.class_names);
  if (arguments.num_classes > 0) options.num_classes = arguments.num_classes;
  const Network network = convert_checkpoint(arguments.input, arguments.output, options);
  fmt::print("{}: {}, {} classes{}, preset {}\n", arguments.output, network.architecture,
             network.num_classes(), network.class_names.empty() ? " without names" : " with names",
             network.preset.empty() ? "unknown" : network.preset);
  return ExitCode::kDone;
}

}  // namespace

void add_convert(CLI::App& app, Command& command) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* verb = app.add_subcommand(
      "convert", "Write a checkpoint as safetensors that need no further options to load");
  verb->add_option("input", arguments->input, "A .pth, .pt or .safetensors file")->required();
  verb->add_option("output", arguments->output, "The .safetensors file to write")->required();
  verb->add_option("--type", arguments->options.type, "Architecture, where the file does not tell");
  verb->add_option("--num-classes", arguments->num_classes, "Classes of the classifier")
      ->check(CLI::PositiveNumber);
  verb->add_option("--class-names", arguments->class_names,
                   "File of class names in the order of the logits");
  verb->add_option("--preset", arguments->options.preset, "Preprocessing preset");
  verb->callback(
      [arguments, &command] { command = [arguments] { return convert_file(*arguments); }; });
}

}  // namespace cfp
