#include <string>

#include <fmt/format.h>

#include "stages/network/builder_checks.h"
#include "stages/network/builders.h"

namespace cfp {
namespace {

constexpr std::string_view kFamily = "resnet3d";

void check(const ResNet3dOptions& options) {
  using namespace builder;
  check_blocks(kFamily, options.blocks, 0);
  check_range(kFamily, "base_width", options.base_width, 1, kMostChannels / 64);
  check_range(kFamily, "expansion", options.expansion, 1, 16);
  check_range(kFamily, "groups", options.groups, 1, kMostChannels);
  check_multiple(kFamily, "base_width", options.base_width, "groups", options.groups);
  check_range(kFamily, "stem_channels", options.stem_channels, 1, kMostChannels);
  check_range(kFamily, "stem_kernel", options.stem_kernel, 1, kLargestKernel);
  check_odd(kFamily, "stem_kernel", options.stem_kernel);
  check_range(kFamily, "stem_stride", options.stem_stride, 1, kLargestKernel);
  check_range(kFamily, "num_classes", options.num_classes, 1, kMostClasses);
}

NodeId add_stem(NetworkGraph& graph, const ResNet3dOptions& options) {
  const NodeId input = graph.add("input", Input{});
  NodeId x = graph.add("conv1",
                       Conv3d{.in_channels = graph.channels(input),
                              .out_channels = options.stem_channels,
                              .kernel = options.stem_kernel,
                              .stride = options.stem_stride,
                              .padding = builder::half_padding(options.stem_kernel)},
                       {input});
  x = graph.add("bn1", BatchNorm3d{.channels = options.stem_channels}, {x});
  x = graph.add("relu", Relu{}, {x});
  if (!options.stem_pool) return x;
  return graph.add(
      "maxpool",
      MaxPool3d{
          .kernel = {3, 3, 3}, .stride = {2, 2, 2}, .padding = builder::half_padding({3, 3, 3})},
      {x});
}

/// One bottleneck block: relu(bn3(conv3(…)) + shortcut). The stride sits on conv2.
NodeId add_block(NetworkGraph& graph, const std::string& name, NodeId input, int width, int stride,
                 const ResNet3dOptions& options) {
  const int in = graph.channels(input);
  const int out = width * options.expansion;
  const Triple strides{stride, stride, stride};
  const auto batch_norm = [&](const std::string& bn_name, NodeId of) {
    return graph.add(name + bn_name, BatchNorm3d{.channels = graph.channels(of)}, {of});
  };

  NodeId x = graph.add(name + ".conv1", Conv3d{.in_channels = in, .out_channels = width}, {input});
  x = batch_norm(".bn1", x);
  x = graph.add(name + ".relu1", Relu{}, {x});
  x = graph.add(name + ".conv2",
                Conv3d{.in_channels = width,
                       .out_channels = width,
                       .kernel = {3, 3, 3},
                       .stride = strides,
                       .padding = builder::half_padding({3, 3, 3}),
                       .groups = options.groups},
                {x});
  x = batch_norm(".bn2", x);
  x = graph.add(name + ".relu2", Relu{}, {x});
  x = graph.add(name + ".conv3", Conv3d{.in_channels = width, .out_channels = out}, {x});
  x = batch_norm(".bn3", x);

  NodeId shortcut = input;
  if (stride != 1 || in != out) {
    shortcut =
        graph.add(name + ".downsample.0",
                  Conv3d{.in_channels = in, .out_channels = out, .stride = strides}, {input});
    shortcut = batch_norm(".downsample.1", shortcut);
  }
  x = graph.add(name + ".add", Add{}, {x, shortcut});
  return graph.add(name + ".relu3", Relu{}, {x});
}

}  // namespace

ResNet3dOptions resnext101_options(int num_classes) {
  return {.blocks = {3, 4, 23, 3},
          .base_width = 128,
          .expansion = 2,
          .groups = 32,
          .num_classes = num_classes};
}

NetworkGraph build_resnet3d(const ResNet3dOptions& options) {
  check(options);
  NetworkGraph graph;
  NodeId x = add_stem(graph, options);
  int width = options.base_width;
  for (std::size_t stage = 0; stage < options.blocks.size(); ++stage, width *= 2) {
    for (int block = 0; block < options.blocks[stage]; ++block) {
      const int stride = stage > 0 && block == 0 ? 2 : 1;
      x = add_block(graph, fmt::format("layer{}.{}", stage + 1, block), x, width, stride, options);
    }
  }
  x = graph.add("avgpool", GlobalAverage{}, {x});
  graph.add("fc", Linear{.in_features = graph.channels(x), .out_features = options.num_classes},
            {x});
  return graph;
}

}  // namespace cfp
