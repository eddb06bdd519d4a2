#include <string>

#include <fmt/format.h>

#include "stages/core/errors.h"
#include "stages/network/builder_checks.h"
#include "stages/network/builders.h"

namespace cfp {
namespace {

constexpr std::string_view kFamily = "mfnet3d";

void check(const MfNet3dOptions& options) {
  using namespace builder;
  check_blocks(kFamily, options.blocks, 0);
  check_range(kFamily, "base_width", options.base_width, 4, kMostChannels / 64);
  check_multiple(kFamily, "base_width", options.base_width, "conv_i1 has a quarter of it", 4);
  check_range(kFamily, "groups", options.groups, 1, kMostChannels);
  check_range(kFamily, "stem_channels", options.stem_channels, 1, kMostChannels);
  check_multiple(kFamily, "base_width", options.base_width, "groups", options.groups);
  check_multiple(kFamily, "stem_channels", options.stem_channels, "groups", options.groups);
  check_range(kFamily, "stem_kernel", options.stem_kernel, 1, kLargestKernel);
  check_odd(kFamily, "stem_kernel", options.stem_kernel);
  check_range(kFamily, "stem_stride", options.stem_stride, 1, kLargestKernel);
  check_range(kFamily, "num_classes", options.num_classes, 1, kMostClasses);
}

/// A unit of the network: batch norm, ReLU, convolution, in this order.
NodeId add_unit(NetworkGraph& graph, const std::string& name, NodeId input, Conv3d conv) {
  conv.in_channels = graph.channels(input);
  conv.padding = builder::half_padding(conv.kernel);
  NodeId x = graph.add(name + ".bn", BatchNorm3d{.channels = conv.in_channels}, {input});
  x = graph.add(name + ".relu", Relu{}, {x});
  return graph.add(name + ".conv", conv, {x});
}

NodeId add_stem(NetworkGraph& graph, const MfNet3dOptions& options) {
  const NodeId input = graph.add("input", Input{});
  NodeId x = graph.add("conv1.conv",
                       Conv3d{.in_channels = graph.channels(input),
                              .out_channels = options.stem_channels,
                              .kernel = options.stem_kernel,
                              .stride = options.stem_stride,
                              .padding = builder::half_padding(options.stem_kernel)},
                       {input});
  x = graph.add("conv1.bn", BatchNorm3d{.channels = options.stem_channels}, {x});
  x = graph.add("conv1.relu", Relu{}, {x});
  if (!options.stem_pool) return x;
  return graph.add(
      "maxpool",
      MaxPool3d{
          .kernel = {1, 3, 3}, .stride = {1, 2, 2}, .padding = builder::half_padding({1, 3, 3})},
      {x});
}

/// One multi-fibre block: m2(m1(x + i2(i1(x)))) + shortcut, where i1 and i2 let the fibres
/// exchange.
NodeId add_block(NetworkGraph& graph, const std::string& name, NodeId input, int width,
                 const Triple& stride, bool first, int groups) {
  const int in = graph.channels(input);
  NodeId x = add_unit(graph, name + ".conv_i1", input, {.out_channels = width / 4});
  x = add_unit(graph, name + ".conv_i2", x, {.out_channels = in});
  x = graph.add(name + ".add_i", Add{}, {x, input});
  x = add_unit(graph, name + ".conv_m1", x,
               {.out_channels = width, .kernel = {3, 3, 3}, .stride = stride, .groups = groups});
  x = add_unit(graph, name + ".conv_m2", x,
               first ? Conv3d{.out_channels = width}
                     : Conv3d{.out_channels = width, .kernel = {1, 3, 3}, .groups = groups});
  NodeId shortcut = input;
  if (first) {
    shortcut = add_unit(graph, name + ".conv_w1", input, {.out_channels = width, .stride = stride});
  }
  return graph.add(name + ".add", Add{}, {x, shortcut});
}

/// The original takes exactly one length, and one position of its last average.
void check_size(const NetworkGraph& graph, NodeId before_average, const MfNet3dOptions& options) {
  const Triple left =
      infer_shapes(graph, options.input_size)[static_cast<std::size_t>(before_average)].size;
  // conv2 halves the length and rounds up; an odd one would pass unseen.
  const bool even_length = options.stem_stride[0] != 1 || options.input_size[0] % 2 == 0;
  if (left == options.final_pool && even_length) return;
  throw ConfigError(fmt::format(
      "{} cannot take clips of {} (T x H x W): before the classifier {} is left where exactly {} "
      "is "
      "needed{}; the published network takes T = 16, H and W from 193 to 224",
      kFamily, builder::size_text(options.input_size), builder::size_text(left),
      builder::size_text(options.final_pool), even_length ? "" : ", and T must be even"));
}

}  // namespace

NetworkGraph build_mfnet3d(const MfNet3dOptions& options) {
  check(options);
  NetworkGraph graph;
  NodeId x = add_stem(graph, options);
  int width = options.base_width;
  for (std::size_t stage = 0; stage < options.blocks.size(); ++stage, width *= 2) {
    for (int block = 0; block < options.blocks[stage]; ++block) {
      const Triple shrink = stage == 0 ? Triple{2, 1, 1} : Triple{1, 2, 2};
      const Triple stride = block == 0 ? shrink : Triple{1, 1, 1};
      x = add_block(graph, fmt::format("conv{}.B{:02}", stage + 2, block + 1), x, width, stride,
                    block == 0, options.groups);
    }
  }
  x = graph.add("tail.bn", BatchNorm3d{.channels = graph.channels(x)}, {x});
  x = graph.add("tail.relu", Relu{}, {x});
  check_size(graph, x, options);
  x = graph.add("avg_pool", GlobalAverage{}, {x});
  graph.add("classifier",
            Linear{.in_features = graph.channels(x), .out_features = options.num_classes}, {x});
  return graph;
}

}  // namespace cfp
