#include <algorithm>
#include <array>
#include <string>

#include <fmt/format.h>

#include "stages/core/errors.h"
#include "stages/network/builder_checks.h"
#include "stages/network/builders.h"

namespace cfp {
namespace {

constexpr std::string_view kFamily = "i3d";
constexpr int kPublishedWidth = 64;

/// Channels of a mixed unit: branch 0; branch 1, 1x1x1 and 3x3x3; branch 2, likewise; branch 3.
struct MixedUnit {
  char letter;
  std::array<int, 6> widths;
};

struct MixedStage {
  char number;
  std::string_view pool_name;
  Triple pool_kernel, pool_stride;
  std::vector<MixedUnit> units;
};

const std::vector<MixedStage>& published_stages() {
  static const std::vector<MixedStage> stages{
      {'3',
       "maxPool3d_3a_3x3",
       {1, 3, 3},
       {1, 2, 2},
       {{'b', {64, 96, 128, 16, 32, 32}}, {'c', {128, 128, 192, 32, 96, 64}}}},
      {'4',
       "maxPool3d_4a_3x3",
       {3, 3, 3},
       {2, 2, 2},
       {{'b', {192, 96, 208, 16, 48, 64}},
        {'c', {160, 112, 224, 24, 64, 64}},
        {'d', {128, 128, 256, 24, 64, 64}},
        {'e', {112, 144, 288, 32, 64, 64}},
        {'f', {256, 160, 320, 32, 128, 128}}}},
      {'5',
       "maxPool3d_5a_2x2",
       {2, 2, 2},
       {2, 2, 2},
       {{'b', {256, 160, 320, 32, 128, 128}}, {'c', {384, 192, 384, 48, 128, 128}}}},
  };
  return stages;
}

void check(const I3dOptions& options) {
  using namespace builder;
  const std::vector<MixedStage>& stages = published_stages();
  check_blocks(kFamily, options.blocks, stages.size());
  for (std::size_t stage = 0; stage < stages.size(); ++stage) {
    check_range(kFamily, fmt::format("blocks[{}]", stage), options.blocks[stage], 1,
                static_cast<int>(stages[stage].units.size()));
  }
  check_range(kFamily, "base_width", options.base_width, 1, kMostChannels / 64);
  check_range(kFamily, "stem_kernel", options.stem_kernel, 1, kLargestKernel);
  check_range(kFamily, "stem_stride", options.stem_stride, 1, kLargestKernel);
  check_range(kFamily, "num_classes", options.num_classes, 1, kMostClasses);
  check_range(kFamily, "final_pool", options.final_pool, 1, kMostChannels);
}

/// Builds the graph and follows the length of the clip, which the padding depends on.
class Builder {
 public:
  explicit Builder(const I3dOptions& options) : options_(options), length_(options.input_size[0]) {}

  NetworkGraph build() {
    NodeId x = graph_.add("input", Input{});
    x = add_unit("conv3d_1a_7x7", x, width(64), options_.stem_kernel, options_.stem_stride);
    length_ = shrunk(options_.stem_stride);
    if (options_.stem_pool) x = add_pool("maxPool3d_2a_3x3", x, {1, 3, 3}, {1, 2, 2});
    x = add_unit("conv3d_2b_1x1", x, width(64), {1, 1, 1});
    x = add_unit("conv3d_2c_3x3", x, width(192), {3, 3, 3});
    for (std::size_t stage = 0; stage < published_stages().size(); ++stage) {
      const MixedStage& published = published_stages()[stage];
      x = add_pool(std::string(published.pool_name), x, published.pool_kernel,
                   published.pool_stride);
      length_ = shrunk(published.pool_stride);
      for (int unit = 0; unit < options_.blocks[stage]; ++unit) {
        const MixedUnit& mixed = published.units[static_cast<std::size_t>(unit)];
        x = add_mixed(fmt::format("mixed_{}{}", published.number, mixed.letter), x, mixed.widths);
      }
    }
    check_size(x);
    // Windows over time overlap, so this and the mean below are not one average over time.
    x = graph_.add("avg_pool", AvgPool3d{.kernel = options_.final_pool}, {x});
    x = graph_.add(
        "conv3d_0c_1x1.conv3d",
        Conv3d{
            .in_channels = graph_.channels(x), .out_channels = options_.num_classes, .bias = true},
        {x});
    graph_.add("mean", GlobalAverage{}, {x});
    return std::move(graph_);
  }

 private:
  int width(int published) const {
    const std::int64_t scaled = std::int64_t{published} * options_.base_width;
    return static_cast<int>((scaled + kPublishedWidth - 1) / kPublishedWidth);
  }
  int shrunk(const Triple& stride) const { return (length_ - 1) / stride[0] + 1; }

  /// TensorFlow's SAME: as many zeros as the last window lacks, the smaller half in front. The
  /// original looks at the length alone and takes height and width as divisible by the stride.
  Padding same_padding(const Triple& kernel, const Triple& stride) const {
    Padding padding;
    for (std::size_t axis = 0; axis < 3; ++axis) {
      const int rest = axis == 0 ? length_ % stride[0] : 0;
      const int total = std::max(kernel[axis] - (rest != 0 ? rest : stride[axis]), 0);
      padding.before[axis] = total / 2;
      padding.after[axis] = total - total / 2;
    }
    return padding;
  }

  NodeId add_unit(const std::string& name, NodeId input, int out_channels, const Triple& kernel,
                  const Triple& stride = {1, 1, 1}) {
    NodeId x = graph_.add(name + ".conv3d",
                          Conv3d{.in_channels = graph_.channels(input),
                                 .out_channels = out_channels,
                                 .kernel = kernel,
                                 .stride = stride,
                                 .padding = same_padding(kernel, stride)},
                          {input});
    x = graph_.add(name + ".batch3d", BatchNorm3d{.channels = out_channels, .eps = 1e-3}, {x});
    return graph_.add(name + ".relu", Relu{}, {x});
  }

  NodeId add_pool(const std::string& name, NodeId input, const Triple& kernel,
                  const Triple& stride) {
    return graph_.add(name,
                      MaxPool3d{.kernel = kernel,
                                .stride = stride,
                                .padding = same_padding(kernel, stride),
                                .ceil_mode = true,
                                .zero_padding = true},
                      {input});
  }

  NodeId add_mixed(const std::string& name, NodeId input, const std::array<int, 6>& widths) {
    const NodeId b0 = add_unit(name + ".branch_0", input, width(widths[0]), {1, 1, 1});
    NodeId b1 = add_unit(name + ".branch_1.0", input, width(widths[1]), {1, 1, 1});
    b1 = add_unit(name + ".branch_1.1", b1, width(widths[2]), {3, 3, 3});
    NodeId b2 = add_unit(name + ".branch_2.0", input, width(widths[3]), {1, 1, 1});
    b2 = add_unit(name + ".branch_2.1", b2, width(widths[4]), {3, 3, 3});
    NodeId b3 = add_pool(name + ".branch_3.0", input, {3, 3, 3}, {1, 1, 1});
    b3 = add_unit(name + ".branch_3.1", b3, width(widths[5]), {1, 1, 1});
    return graph_.add(name + ".concat", Concat{}, {b0, b1, b2, b3});
  }

  /// A larger clip would give a map of logits, a smaller one none.
  void check_size(NodeId before_average) const {
    const Triple left =
        infer_shapes(graph_, options_.input_size)[static_cast<std::size_t>(before_average)].size;
    const Triple& window = options_.final_pool;
    if (left[0] >= window[0] && left[1] == window[1] && left[2] == window[2]) return;
    throw ConfigError(
        fmt::format("{} cannot take clips of {} (T x H x W): before the last average {} is left "
                    "where its window "
                    "of {} must fit exactly once in H and W and at least once in T; the published "
                    "network takes "
                    "T from 9, H and W from 194 to 225",
                    kFamily, builder::size_text(options_.input_size), builder::size_text(left),
                    builder::size_text(window)));
  }

  const I3dOptions& options_;
  NetworkGraph graph_;
  int length_;  ///< T at the point reached
};

}  // namespace

NetworkGraph build_i3d(const I3dOptions& options) {
  check(options);
  return Builder(options).build();
}

}  // namespace cfp
