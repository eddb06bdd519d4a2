#include "tests/support/random_graphs.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "stages/core/formula.h"

namespace cfp::test {
namespace {

constexpr int kFewestChannels = 2;
constexpr int kMostChannels = 12;

/// Dice that fall alike on every machine, which std::uniform_int_distribution does not promise.
class Dice {
 public:
  Dice(std::uint64_t seed, std::string_view name) : stream_(seed, name) {}

  /// @return a number from `least` to `most`, both possible
  int from(int least, int most) {
    const auto faces = static_cast<unsigned>(most - least + 1);
    return least + static_cast<int>(stream_.bits(next_++) % faces);
  }
  bool in_percent(int chance) { return from(1, 100) <= chance; }

 private:
  FormulaStream stream_;
  std::uint64_t next_ = 0;
};

/// Grows a network block by block; `convs_left_` says how many convolutions may still come.
class RandomGraphBuilder {
 public:
  explicit RandomGraphBuilder(std::uint64_t seed) : dice_(seed, "random_graph") {}

  NetworkGraph build() {
    const bool conv_classifier = dice_.in_percent(40);
    convs_left_ = dice_.from(3, 10) - (conv_classifier ? 1 : 0);
    NodeId x = add("input", Input{}, {});
    x = conv_block(x);
    while (convs_left_ > 0) {
      switch (dice_.from(0, 8)) {
        case 0:
          x = conv_block(x);
          break;
        case 1:
          x = pre_activation_block(x);
          break;
        case 2:
          x = residual(x);
          break;
        case 3:
          x = branches(x);
          break;
        case 4:
          x = moved_channels(x);
          break;
        case 5:
          x = gated(x);
          break;
        case 6:
          x = conv_block(moved_positions(x));
          break;
        case 7:
          x = spread_conv(x);
          break;
        default:
          x = conv_block(pool(x));
      }
    }
    return conv_classifier ? end_with_conv(x) : end_with_linear(x);
  }

 private:
  NodeId add(const std::string& name, Op op, std::vector<NodeId> inputs) {
    return graph_.add(name, std::move(op), std::move(inputs));
  }
  /// Adds a node under a name of its own: `conv7` is the node with id 7.
  NodeId add_numbered(std::string_view kind, Op op, std::vector<NodeId> inputs) {
    return add(fmt::format("{}{}", kind, graph_.size()), std::move(op), std::move(inputs));
  }

  /// Size of a node's result for the smallest clip; larger clips never give less.
  Triple least_size(NodeId id) const {
    return infer_shapes(graph_, kSmallestClip)[static_cast<std::size_t>(id)].size;
  }

  /// Strides that leave something to see of the clip.
  Triple stride_for(NodeId id) {
    Triple stride{1, 1, 1};
    const Triple size = least_size(id);
    for (std::size_t axis = 0; axis < 3; ++axis) {
      if (size[axis] >= 3 && dice_.in_percent(25)) stride[axis] = 2;
    }
    return stride;
  }

  /// Splits what keeps the size at stride 1 between the two ends, evenly or not. The number of
  /// positions then depends on size and stride alone, so that branches of other kernels fit.
  Padding same_padding(const Triple& kernel, const Triple& dilation) {
    Padding padding;
    for (std::size_t axis = 0; axis < 3; ++axis) {
      const int total = dilation[axis] * (kernel[axis] - 1);
      padding.before[axis] = dice_.in_percent(60) ? total / 2 : dice_.from(0, total);
      padding.after[axis] = total - padding.before[axis];
    }
    return padding;
  }

  int random_groups(int in, int out) {
    std::vector<int> divisors;
    for (int groups = 1; groups <= std::min(in, out); ++groups) {
      if (in % groups == 0 && out % groups == 0) divisors.push_back(groups);
    }
    if (dice_.in_percent(50)) return 1;
    return divisors[static_cast<std::size_t>(dice_.from(0, static_cast<int>(divisors.size()) - 1))];
  }

  /// A convolution of random kernel that keeps the size but for its stride.
  NodeId conv(NodeId x, int out, const Triple& stride) {
    Conv3d op{.in_channels = graph_.channels(x), .out_channels = out, .stride = stride};
    for (std::size_t axis = 0; axis < 3; ++axis) {
      op.kernel[axis] = dice_.from(1, 3);
      op.dilation[axis] = dice_.in_percent(25) ? 2 : 1;
    }
    op.padding = same_padding(op.kernel, op.dilation);
    op.groups = random_groups(op.in_channels, out);
    op.bias = dice_.in_percent(30);
    --convs_left_;
    return add_numbered("conv", op, {x});
  }

  NodeId batch_norm(NodeId x) {
    const double eps = dice_.in_percent(50) ? 1e-5 : 1e-3;
    return add_numbered("bn", BatchNorm3d{.channels = graph_.channels(x), .eps = eps}, {x});
  }
  NodeId relu(NodeId x) { return add_numbered("relu", Relu{}, {x}); }

  /// Convolution, mostly with batch norm and ReLU behind it; sometimes without any padding.
  NodeId conv_block(NodeId x) {
    if (convs_left_ < 1) return x;
    const int in = graph_.channels(x);
    const int out = in >= kFewestChannels && dice_.in_percent(20)
                        ? (2 * in <= kMostChannels ? 2 * in : in)  // so that depth-wise is likely
                        : dice_.from(kFewestChannels, kMostChannels);
    const Triple size = least_size(x);
    if (dice_.in_percent(20) && std::ranges::min(size) >= 3) {
      --convs_left_;
      x = add_numbered("conv",
                       Conv3d{.in_channels = in,
                              .out_channels = out,
                              .kernel = {dice_.from(1, 3), dice_.from(1, 3), dice_.from(1, 3)},
                              .groups = random_groups(in, out)},
                       {x});
    } else {
      x = conv(x, out, stride_for(x));
    }
    if (dice_.in_percent(75)) x = batch_norm(x);
    return dice_.in_percent(85) ? activation(x) : x;
  }

  /// Mostly a ReLU, else a function that is x times a factor.
  NodeId activation(NodeId x) {
    if (dice_.in_percent(70)) return relu(x);
    switch (dice_.from(0, 6)) {
      case 0:
        return function(x, {.function = Function::kTanh});
      case 1:
        return function(x, {.function = Function::kHardSwish});
      case 2:
        return function(x, {.function = Function::kGelu});
      case 3:
        return function(x, {.function = Function::kElu, .first = 0.7, .second = 1.2, .third = 1});
      case 4:
        return function(x, {.function = Function::kLeakyRelu, .first = 0.2});
      case 5:
        return function(x, {.function = Function::kClamp, .first = 0, .second = 1.5});
      default:
        return function(x, {.function = Function::kSilu});
    }
  }
  NodeId function(NodeId x, const Pointwise& op) {
    return add_numbered(function_name(op.function), op, {x});
  }

  /// A slice or a shuffle of the channels, or the two halves the other way round.
  NodeId moved_channels(NodeId x) {
    const int channels = graph_.channels(x);
    SelectChannels op;
    for (int c = 0; c < channels; ++c) op.source.push_back(c);
    switch (dice_.from(0, 2)) {
      case 0:
        for (int c = channels - 1; c > 0; --c) {
          std::swap(op.source[static_cast<std::size_t>(c)],
                    op.source[static_cast<std::size_t>(dice_.from(0, c))]);
        }
        return add_numbered("shuffle", op, {x});
      case 1:
        if (channels < 2 * kFewestChannels) return conv_block(x);
        op.source.resize(static_cast<std::size_t>(dice_.from(kFewestChannels, channels - 1)));
        return add_numbered("slice", op, {x});
      default:
        if (channels < 2 * kFewestChannels) return conv_block(x);
        SelectChannels second;
        second.source.assign(op.source.begin() + channels / 2, op.source.end());
        op.source.resize(static_cast<std::size_t>(channels / 2));
        const NodeId first_half = add_numbered("slice", op, {x});
        const NodeId second_half = add_numbered("slice", second, {x});
        return add_numbered("concat", Concat{}, {second_half, first_half});
    }
  }

  /// Squeeze and excitation, or a gate of its own for every position.
  NodeId gated(NodeId x) {
    if (convs_left_ < 2) return conv_block(x);
    const int channels = graph_.channels(x);
    const bool squeezed = dice_.in_percent(60);
    NodeId gate = x;
    if (squeezed) {
      gate = add_numbered("mean", GlobalAverage{}, {gate});
      gate = activation(pointwise_conv(gate, dice_.from(kFewestChannels, 4)));
    }
    gate = pointwise_conv(gate, channels);
    // Never 0 or negative: a gate may not close what a push has to show.
    gate = dice_.in_percent(60)
               ? function(gate, {.function = Function::kSigmoid})
               : function(gate, {.function = Function::kClamp, .first = 0.25, .second = 1.5});
    return add_numbered("product", Multiply{}, {x, gate});
  }
  NodeId pointwise_conv(NodeId x, int out) {
    --convs_left_;
    return add_numbered(
        "conv", Conv3d{.in_channels = graph_.channels(x), .out_channels = out, .bias = true}, {x});
  }

  /// Every second position, or all backwards, or each twice, or zeros around them.
  NodeId moved_positions(NodeId x) {
    const int axis = dice_.from(0, 2);
    const int size = least_size(x)[static_cast<std::size_t>(axis)];
    SelectPositions op{.axis = axis};
    switch (dice_.from(0, 3)) {
      case 0:
        for (int i = 0; i < size; i += 2) op.source.push_back(i);
        break;
      case 1:
        for (int i = size - 1; i >= 0; --i) op.source.push_back(i);
        break;
      case 2:
        for (int i = 0; i < 2 * size; ++i) op.source.push_back(i / 2);
        break;
      default: {
        Pad pad;
        for (std::size_t a = 0; a < 3; ++a) {
          pad.padding.before[a] = dice_.from(0, 2);
          pad.padding.after[a] = dice_.from(0, 2);
        }
        return add_numbered("pad", pad, {x});
      }
    }
    return add_numbered("select", op, {x});
  }

  /// What a transposed convolution is made of.
  NodeId spread_conv(NodeId x) {
    if (std::ranges::max(least_size(x)) > kLargestClip[1]) return conv_block(x);
    Spread op;
    for (std::size_t axis = 0; axis < 3; ++axis) op.step[axis] = dice_.from(1, 2);
    return conv_block(add_numbered("spread", op, {x}));
  }

  /// Batch norm, ReLU, convolution.
  NodeId pre_activation(NodeId x, const Triple& stride, int out) {
    return conv(relu(batch_norm(x)), out, stride);
  }

  NodeId pre_activation_block(NodeId x) {
    // One after the other: the order in which a call's arguments throw dice is the compiler's.
    const Triple stride = stride_for(x);
    const int out = dice_.from(kFewestChannels, kMostChannels);
    return pre_activation(x, stride, out);
  }

  NodeId residual(NodeId x) {
    const Triple stride = convs_left_ >= 2 ? stride_for(x) : Triple{1, 1, 1};
    const bool same_size = stride == Triple{1, 1, 1};
    const bool identity = convs_left_ < 2 || (same_size && dice_.in_percent(60));
    const int out = identity ? graph_.channels(x) : dice_.from(kFewestChannels, kMostChannels);
    NodeId shortcut = x;
    if (!identity) {
      shortcut = add_numbered(
          "conv", Conv3d{.in_channels = graph_.channels(x), .out_channels = out, .stride = stride},
          {x});
      --convs_left_;
      if (dice_.in_percent(50)) shortcut = batch_norm(shortcut);
    }
    const bool pre_activated = dice_.in_percent(50);
    NodeId main = pre_activated ? pre_activation(x, stride, out) : conv(x, out, stride);
    if (!pre_activated && dice_.in_percent(70)) main = batch_norm(main);
    if (convs_left_ > 0 && dice_.in_percent(50)) {
      main = pre_activated ? pre_activation(main, {1, 1, 1}, out)
                           : batch_norm(conv(relu(main), out, {1, 1, 1}));
    }
    const bool shortcut_first = dice_.in_percent(30);
    const NodeId sum = shortcut_first ? add_numbered("sum", Add{}, {shortcut, main})
                                      : add_numbered("sum", Add{}, {main, shortcut});
    return pre_activated ? sum : relu(sum);
  }

  /// Two or three branches side by side: a convolution or two, a pool and a convolution, a pool.
  NodeId branches(NodeId x) {
    const Triple stride = stride_for(x);
    std::vector<NodeId> ends;
    const int count = dice_.from(2, 3);
    for (int branch = 0; branch < count; ++branch) {
      const int out = dice_.from(kFewestChannels, kMostChannels / 3);
      const bool small_enough = graph_.channels(x) <= kMostChannels / 3;
      if (convs_left_ < 1 && !(ends.size() < 2 && small_enough)) break;
      if (convs_left_ < 1 || (small_enough && dice_.in_percent(15))) {
        ends.push_back(padded_max_pool(x, stride));
        continue;
      }
      NodeId end = dice_.in_percent(30) ? conv(padded_max_pool(x, stride), out, {1, 1, 1})
                                        : conv(x, out, stride);
      if (dice_.in_percent(60)) end = batch_norm(end);
      if (dice_.in_percent(70)) end = relu(end);
      if (convs_left_ > 0 && dice_.in_percent(30)) end = relu(conv(end, out, {1, 1, 1}));
      ends.push_back(end);
    }
    return ends.size() == 1 ? ends[0] : add_numbered("concat", Concat{}, ends);
  }

  /// A maximum whose number of positions depends on size and stride alone.
  NodeId padded_max_pool(NodeId x, const Triple& stride) {
    MaxPool3d op{.stride = stride};
    op.zero_padding = dice_.in_percent(50);
    // Odd kernels without zero padding: no framework pads those unevenly.
    for (int& kernel : op.kernel)
      kernel = op.zero_padding ? dice_.from(1, 3) : 2 * dice_.from(0, 1) + 1;
    op.padding = same_padding(op.kernel, {1, 1, 1});
    if (!op.zero_padding) op.padding.after = op.padding.before = half_of(op.kernel);
    return add_numbered("maxpool", op, {x});
  }

  static Triple half_of(const Triple& kernel) {
    return {kernel[0] / 2, kernel[1] / 2, kernel[2] / 2};
  }

  /// A pool in the trunk, where nothing beside it has to fit.
  NodeId pool(NodeId x) {
    const Triple size = least_size(x);
    Triple kernel{1, 1, 1};
    for (std::size_t axis = 0; axis < 3; ++axis) {
      kernel[axis] = dice_.from(1, std::min(3, size[axis]));
    }
    const Triple stride = stride_for(x);
    if (dice_.in_percent(20)) {
      AdaptiveAverage average;
      for (std::size_t axis = 0; axis < 3; ++axis) {
        average.size[axis] = dice_.from(std::min(size[axis], 2), size[axis]);
      }
      return add_numbered("adaptive", average, {x});
    }
    if (dice_.in_percent(45)) {
      AvgPool3d average{.kernel = kernel, .stride = stride};
      if (dice_.in_percent(50)) {
        average.padding = half_of(kernel);
        average.ceil_mode = dice_.in_percent(50);
        average.count_padding = dice_.in_percent(50);
      }
      return add_numbered("avgpool", average, {x});
    }
    MaxPool3d op{.kernel = kernel, .stride = stride, .ceil_mode = dice_.in_percent(60)};
    op.zero_padding = dice_.in_percent(40);
    if (op.zero_padding) {
      op.padding = same_padding(kernel, {1, 1, 1});
    } else if (dice_.in_percent(60)) {
      op.padding.before = op.padding.after = half_of(kernel);
    }
    return add_numbered("maxpool", op, {x});
  }

  NodeId last_activation(NodeId x) {
    if (dice_.in_percent(50)) x = batch_norm(x);
    return dice_.in_percent(80) ? relu(x) : x;
  }

  NetworkGraph end_with_linear(NodeId x) {
    x = add("mean", GlobalAverage{}, {last_activation(x)});
    add("classifier",
        Linear{.in_features = graph_.channels(x),
               .out_features = dice_.from(2, 6),
               .bias = dice_.in_percent(80)},
        {x});
    return std::move(graph_);
  }

  NetworkGraph end_with_conv(NodeId x) {
    x = last_activation(x);
    // Overlapping windows: the mean of their logits is no plain average.
    const Triple size = least_size(x);
    if (size[0] >= 2) x = add("last_pool", AvgPool3d{.kernel = {2, size[1], size[2]}}, {x});
    x = add("classifier",
            Conv3d{.in_channels = graph_.channels(x),
                   .out_channels = dice_.from(2, 6),
                   .bias = dice_.in_percent(80)},
            {x});
    add("mean", GlobalAverage{}, {x});
    return std::move(graph_);
  }

  Dice dice_;
  NetworkGraph graph_;
  int convs_left_ = 0;
};

}  // namespace

NetworkGraph random_graph(std::uint64_t seed) { return RandomGraphBuilder(seed).build(); }

Triple random_clip_size(std::uint64_t seed) {
  Dice dice(seed, "random_clip_size");
  Triple size{};
  for (std::size_t axis = 0; axis < 3; ++axis) {
    size[axis] = dice.from(kSmallestClip[axis], kLargestClip[axis]);
  }
  return size;
}

}  // namespace cfp::test
