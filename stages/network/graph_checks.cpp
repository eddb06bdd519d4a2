// What a node must be to join a graph.
#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>

#include <fmt/format.h>

#include "stages/network/graph_rules.h"

namespace cfp::graph_rules {
namespace {

/// Checks a node before it joins a graph, and finds how many channels it gives.
class NodeChecker {
 public:
  NodeChecker(const Node& node, std::vector<int> input_channels)
      : node_(node), input_channels_(std::move(input_channels)) {}

  /// @return channels of the node's result
  int operator()(const Input& op) const {
    want_inputs(0, 0);
    require(op.channels >= 1, fmt::format("{} channels, but at least 1 is needed", op.channels));
    return op.channels;
  }
  int operator()(const Conv3d& op) const {
    want_inputs(1, 2);
    want_channels(0, op.in_channels);
    require(op.out_channels >= 1, fmt::format("{} output channels", op.out_channels));
    require(op.groups >= 1 && op.in_channels % op.groups == 0 && op.out_channels % op.groups == 0,
            fmt::format("{} groups do not divide {} input and {} output channels", op.groups,
                        op.in_channels, op.out_channels));
    want_positive("kernel", op.kernel);
    want_positive("stride", op.stride);
    want_positive("dilation", op.dilation);
    want_padding(op.padding);
    if (input_channels_.size() == 2) want_channels(1, op.out_channels);
    return op.out_channels;
  }
  int operator()(const BatchNorm3d& op) const {
    want_inputs(1, 1);
    want_channels(0, op.channels);
    require(op.eps >= 0, fmt::format("eps is {}, but must not be negative", op.eps));
    return op.channels;
  }
  int operator()(const Relu&) const { return same_as_input(); }
  int operator()(const MaxPool3d& op) const {
    want_positive("kernel", op.kernel);
    want_positive("stride", op.stride);
    want_padding(op.padding);
    for (std::size_t axis = 0; axis < 3; ++axis) {
      // Else a window could lie in the padding alone, where there is no maximum.
      require(
          op.zero_padding ||
              std::max(op.padding.before[axis], op.padding.after[axis]) < op.kernel[axis],
          fmt::format("padding {} and {} must be smaller than the kernel {}",
                      to_text(op.padding.before), to_text(op.padding.after), to_text(op.kernel)));
    }
    return same_as_input();
  }
  int operator()(const AvgPool3d& op) const {
    want_positive("kernel", op.kernel);
    want_positive("stride", op.stride);
    for (std::size_t axis = 0; axis < 3; ++axis) {
      require(op.padding[axis] >= 0 && 2 * op.padding[axis] <= op.kernel[axis],
              fmt::format("padding {} must be from 0 to half the kernel {}", to_text(op.padding),
                          to_text(op.kernel)));
    }
    return same_as_input();
  }
  int operator()(const GlobalAverage&) const { return same_as_input(); }
  int operator()(const AdaptiveAverage& op) const {
    want_positive("size", op.size);
    return same_as_input();
  }
  int operator()(const SelectChannels& op) const {
    want_inputs(1, 1);
    want_sources(op.source, input_channels_[0]);
    return static_cast<int>(op.source.size());
  }
  int operator()(const SelectPositions& op) const {
    require(op.axis >= 0 && op.axis < 3, fmt::format("axis {}, allowed are 0 to 2", op.axis));
    want_sources(op.source, kLargestSize);
    return same_as_input();
  }
  int operator()(const Pad& op) const {
    want_padding(op.padding);
    return same_as_input();
  }
  int operator()(const Spread& op) const {
    want_positive("step", op.step);
    return same_as_input();
  }
  int operator()(const Pointwise& op) const {
    require(std::isfinite(op.first) && std::isfinite(op.second) && std::isfinite(op.third),
            "a parameter is not finite");
    return same_as_input();
  }
  int operator()(const Multiply&) const {
    want_inputs(2, 2);
    if (input_channels_[1] != 1) want_channels(1, input_channels_[0]);
    return input_channels_[0];
  }
  int operator()(const Add&) const {
    want_inputs(2, 2);
    want_channels(1, input_channels_[0]);
    return input_channels_[0];
  }
  int operator()(const Concat&) const {
    want_inputs(2, 1 << 16);
    std::int64_t sum = 0;
    for (const int channels : input_channels_) sum += channels;
    require(sum <= std::numeric_limits<int>::max(), fmt::format("{} channels", sum));
    return static_cast<int>(sum);
  }
  int operator()(const Linear& op) const {
    want_inputs(1, 1);
    want_channels(0, op.in_features);
    require(op.out_features >= 1, fmt::format("{} output features", op.out_features));
    return op.out_features;
  }

  void require(bool condition, const std::string& why) const {
    if (!condition) throw std::invalid_argument(fmt::format("node {}: {}", label(node_), why));
  }

 private:
  int same_as_input() const {
    want_inputs(1, 1);
    return input_channels_[0];
  }
  void want_inputs(std::size_t least, std::size_t most) const {
    require(input_channels_.size() >= least && input_channels_.size() <= most,
            fmt::format(
                "has {} inputs, takes {}", input_channels_.size(),
                least == most ? fmt::format("{}", least) : fmt::format("{} to {}", least, most)));
  }
  void want_channels(std::size_t input, int channels) const {
    require(input_channels_[input] == channels,
            fmt::format("input {} has {} channels, {} are needed", input, input_channels_[input],
                        channels));
  }
  void want_sources(const std::vector<int>& source, int limit) const {
    require(!source.empty() && source.size() <= static_cast<std::size_t>(kLargestSize),
            fmt::format("{} sources, allowed are 1 to {}", source.size(), kLargestSize));
    const auto [least, most] = std::ranges::minmax(source);
    require(least >= 0 && most < limit,
            fmt::format("sources go from {} to {}, allowed are 0 to {}", least, most, limit - 1));
  }
  void want_positive(std::string_view what, const Triple& t) const {
    require(std::ranges::min(t) >= 1 && std::ranges::max(t) <= kLargestSize,
            fmt::format("{} is {}, each must be from 1 to {}", what, to_text(t), kLargestSize));
  }
  void want_padding(const Padding& padding) const {
    require(std::min(std::ranges::min(padding.before), std::ranges::min(padding.after)) >= 0 &&
                std::max(std::ranges::max(padding.before), std::ranges::max(padding.after)) <=
                    kLargestSize,
            fmt::format("padding is {} and {}, each must be from 0 to {}", to_text(padding.before),
                        to_text(padding.after), kLargestSize));
  }

  const Node& node_;
  std::vector<int> input_channels_;
};

}  // namespace

std::string to_text(const Triple& t) { return fmt::format("{}x{}x{}", t[0], t[1], t[2]); }

std::string label(const Node& node) {
  const auto* function = std::get_if<Pointwise>(&node.op);
  return fmt::format("'{}' ({})", node.name,
                     function != nullptr ? function_name(function->function) : op_name(node.op));
}

int check_node(const Node& node, std::vector<int> input_channels) {
  return std::visit(NodeChecker(node, std::move(input_channels)), node.op);
}

}  // namespace cfp::graph_rules
