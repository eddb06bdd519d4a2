#include "stages/network/exported/load_exported.h"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "stages/core/errors.h"
#include "stages/core/formula.h"
#include "stages/network/checkpoint/match_weights.h"
#include "stages/network/exported/importer.h"

namespace cfp {
namespace {

/// The nodes that lead to `output`, in their order; it becomes the last one.
NetworkGraph only_what_leads_to(const NetworkGraph& graph, NodeId output) {
  std::vector<bool> needed(static_cast<std::size_t>(graph.size()), false);
  needed[0] = true;
  needed[static_cast<std::size_t>(output)] = true;
  for (NodeId id = output; id >= 0; --id) {
    if (!needed[static_cast<std::size_t>(id)]) continue;
    for (const NodeId input : graph.node(id).inputs) needed[static_cast<std::size_t>(input)] = true;
  }
  NetworkGraph result;
  std::vector<NodeId> new_from_old(needed.size(), -1);
  for (NodeId id = 0; id <= output; ++id) {
    if (!needed[static_cast<std::size_t>(id)]) continue;
    Node node = graph.node(id);
    for (NodeId& input : node.inputs) input = new_from_old[static_cast<std::size_t>(input)];
    new_from_old[static_cast<std::size_t>(id)] =
        result.add(std::move(node.name), std::move(node.op), std::move(node.inputs));
  }
  return result;
}

/// The same graph without its last node.
NetworkGraph without_last(const NetworkGraph& graph) {
  return only_what_leads_to(graph, graph.node(graph.output()).inputs.at(0));
}

/// The same graph with another operation at its end.
NetworkGraph ending_with(const NetworkGraph& graph, const Op& op) {
  NetworkGraph result;
  for (NodeId id = 0; id < graph.size(); ++id) {
    const Node& node = graph.node(id);
    result.add(node.name, id == graph.output() ? op : node.op, node.inputs);
  }
  return result;
}

/// The walks begin at a layer, or at a mean over the positions of one.
void want_classifier_at_the_end(const NetworkGraph& graph, const std::string& path) {
  NodeId end = graph.output();
  if (std::holds_alternative<GlobalAverage>(graph.node(end).op)) end = graph.node(end).inputs[0];
  const Node& node = graph.node(end);
  if (is_layer(node)) return;
  refuse_file(path,
              fmt::format("ends with node '{}' ({}), not with a layer that gives the logits, or "
                          "the mean of one over its positions",
                          node.name, op_name(node.op)));
}

std::string describe_layer(const Node& node, const TensorShape& shape, int depth) {
  const auto* conv = std::get_if<Conv3d>(&node.op);
  std::string kind = "linear";
  if (conv != nullptr) {
    kind = fmt::format("{}x{}x{}", conv->kernel[0], conv->kernel[1], conv->kernel[2]);
    if (conv->groups > 1) kind += fmt::format(" in {} groups", conv->groups);
  }
  return fmt::format("  depth {:<4} {:<40} {:>5} kernels of {} positions {}x{}x{}\n",
                     depth == 0 ? "gate" : std::to_string(depth), node.name, shape.channels, kind,
                     shape.size[0], shape.size[1], shape.size[2]);
}

}  // namespace

Network Importer::finish(const Activation& logits) {
  const TensorShape& shape_of_logits = shape(logits.node);
  if (shape_of_logits.positions() != 1) {
    refuse_file(program_.path,
                fmt::format("its output is {}: one number a class belongs there, not {} positions",
                            fmt::join(sizes(logits.layout), "x"), shape_of_logits.positions()));
  }
  if (channel_order(logits.layout).size() != static_cast<std::size_t>(shape_of_logits.channels) ||
      !std::ranges::is_sorted(channel_order(logits.layout))) {
    refuse_file(program_.path, "its output has the classes in another order than its last layer");
  }
  if (!logits.softmax.empty()) {
    notes_.push_back(fmt::format("the softmax '{}' at the end is left out", logits.softmax));
  }
  Network network;
  network.architecture = std::string(kExportedType);
  network.graph = only_what_leads_to(graph_, logits.node);
  const Node& last = network.graph.node(network.graph.output());
  if (const auto* function = std::get_if<Pointwise>(&last.op);
      function != nullptr && function->function == Function::kSigmoid) {
    notes_.push_back(fmt::format("the sigmoid '{}' at the end is left out", last.name));
    network.graph = without_last(network.graph);
  }
  if (std::holds_alternative<AvgPool3d>(network.graph.node(network.graph.output()).op)) {
    network.graph = ending_with(network.graph, GlobalAverage{});
  }
  want_classifier_at_the_end(network.graph, program_.path);
  check_routable(network.graph);
  for (const TensorSpec& spec : tensor_specs(network.graph)) {
    network.weights.emplace(spec.name, weights_.at(spec.name));
  }
  return network;
}

ImportedNetwork import_program(const ExportedProgram& program, int output) {
  Importer importer(program);
  ImportedNetwork result;
  try {
    result.network = importer.run(output);
  } catch (const std::invalid_argument& error) {
    refuse_file(program.path, error.what());
  }
  result.notes = importer.notes();
  result.outputs = program.outputs;
  result.clip_size = importer.clip_size();
  result.network.notes = result.notes;
  result.network.clip_size = result.clip_size;
  return result;
}

Network load_any_network(const NetworkOptions& options) {
  if (options.type != kExportedType) return load_network(options);
  const ExportedProgram program = read_exported_program(options.file);
  ImportedNetwork imported = import_program(program, options.output);
  Network& network = imported.network;
  if (options.input_size && *options.input_size != imported.clip_size) {
    const Triple& is = *options.input_size;
    const Triple& was = imported.clip_size;
    throw ConfigError(fmt::format(
        "'{}' was exported for clips of {}x{}x{} (T x H x W), the config gives {}x{}x{}; set "
        "sampling and preprocess to that size, or export it again",
        options.file, was[0], was[1], was[2], is[0], is[1], is[2]));
  }
  if (options.num_classes && *options.num_classes != network.num_classes()) {
    throw ConfigError(fmt::format("network.num_classes: '{}' has {} classes, the config says {}",
                                  options.file, network.num_classes(), *options.num_classes));
  }
  if (!options.class_names.empty()) {
    network.class_names = options.class_names;
    if (network.class_names.size() != static_cast<std::size_t>(network.num_classes())) {
      throw ConfigError(
          fmt::format("network.class_names: {} class names for a network of {} classes",
                      network.class_names.size(), network.num_classes()));
    }
  }
  // The file holds the architecture, too, of which no key of the config tells.
  network.weights_hash =
      fnv1a64(fmt::format("{:016x}", program.calls_hash), hash_weights(network.weights));
  return std::move(network);
}

std::string describe_exported(const std::string& path) {
  const ImportedNetwork imported = import_program(read_exported_program(path));
  const NetworkGraph& graph = imported.network.graph;
  const Triple& size = imported.clip_size;
  std::string text = fmt::format(
      "file        {}\nformat      torch.export (.pt2)\nclips       {}x{}x{} (T x H x W)\n"
      "outputs     {}\nclasses     {}\nconfig      network: {{type: exported, file: {}}}\n",
      path, size[0], size[1], size[2], fmt::join(imported.outputs, ", "),
      imported.network.num_classes(), path);
  for (const std::string& note : imported.notes) text += "note        " + note + "\n";
  const std::vector<TensorShape> shapes = infer_shapes(graph, size);
  const std::vector<int> depths = layer_depths(graph);
  for (NodeId id = 0; id < graph.size(); ++id) {
    const auto i = static_cast<std::size_t>(id);
    if (is_layer(graph.node(id))) text += describe_layer(graph.node(id), shapes[i], depths[i]);
  }
  return text;
}

}  // namespace cfp
