// The three conservation laws of the scorer `gradient` (docs/method.md, section 2): what a pyramid
// shows of a target is all there is, nothing twice and nothing lost.
#include <algorithm>
#include <array>

#include <ATen/TensorOperators.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/convolution_backward.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <gtest/gtest.h>

#include "stages/network/builders.h"
#include "stages/pyramid/edges.h"
#include "tests/support/random_graphs.h"
#include "tests/unit/pyramid/test_networks.h"

namespace cfp {
namespace {

using std::int64_t;

// In float64 only rounding is left, 1e-16 a sum of some 1e4 numbers. In float32 a gradient has been
// rounded at every layer on its way; the method asks for 1e-3 there.
constexpr double kDoubleTolerance = 1e-9;
constexpr double kFloatTolerance = 1e-3;
/// Sums below this share of a layer's largest cancel too far to be told from rounding.
constexpr double kFloor = 1e-3;

at::Tensor relevance_of(const ChannelSums& sums, int64_t clip) {
  return (sums.positive[clip] - sums.negative[clip]).cpu();
}

at::Tensor magnitude_of(const ChannelSums& sums, int64_t clip) {
  return (sums.positive[clip] + sums.negative[clip]).cpu();
}

/// Sums of sums, and of their sizes, which rounding goes by.
struct Shares {
  at::Tensor sum, magnitude;  ///< [C] float64
};

class Conservation {
 public:
  Conservation(const Network& network, const Executor& executor, const at::Tensor& clips,
               int class_index, bool margin, int64_t clip, double tolerance)
      : executor_(executor),
        graph_(executor.graph()),
        walk_(test::walk_everything(executor, clips, class_index, margin)),
        clip_(clip),
        tolerance_(tolerance),
        passed_on_(test::at_node(graph_.size())) {
    SCOPED_TRACE(network.architecture + (margin ? ", margin" : ", logit") + ", clip " +
                 std::to_string(clip));
    for (NodeId id = graph_.output(); id >= 0; --id) {
      SCOPED_TRACE("node " + graph_.node(id).name);
      if (!routed_nodes(graph_)[test::at_node(id)]) continue;  // it only feeds a gate
      if (id != graph_.output()) expect_all_read(id);
      if (is_layer(graph_.node(id))) {
        expect_kernels_explained(id);
        ++layers_;
      } else {
        pass_on(id);
      }
    }
    expect_target_explained();
  }

  int layers() const { return layers_; }

 private:
  at::Tensor gradient_sums(NodeId id) const {
    return walk_.nodes[test::at_node(id)].gradient[clip_].to(at::kDouble).sum({1, 2, 3}).cpu();
  }

  void give(NodeId id, const at::Tensor& sum, const at::Tensor& magnitude) {
    Shares& shares = passed_on_[test::at_node(id)];
    shares.sum = shares.sum.defined() ? shares.sum + sum : sum;
    shares.magnitude = shares.magnitude.defined() ? shares.magnitude + magnitude : magnitude;
  }

  void expect_close(const at::Tensor& found, const at::Tensor& expected,
                    const at::Tensor& magnitude, const char* law) const {
    const double floor = kFloor * magnitude.max().item<double>();
    const at::Tensor error = (found - expected).abs() / magnitude.clamp_min(floor);
    if (magnitude.max().item<double>() == 0) {  // nothing open: both sides are nothing
      EXPECT_EQ(found.abs().max().item<double>(), 0) << law;
      EXPECT_EQ(expected.abs().max().item<double>(), 0) << law;
      return;
    }
    EXPECT_LE(error.max().item<double>(), tolerance_)
        << law << ", channel " << error.argmax().item<int64_t>();
  }

  /// Law 1: the edges into a kernel and its bias make up its relevance.
  void expect_kernels_explained(NodeId id) {
    const EdgeInput input = test::everything_of(executor_, walk_, id, clip_);
    const at::Tensor edges = edge_scores(executor_.layer(id), input).to(at::kCPU, at::kDouble);
    expect_weight_gradient(id, edges);
    at::Tensor explained = edges.sum(1);
    at::Tensor magnitude = edges.abs().sum(1);
    if (const at::Tensor& bias = executor_.layer(id).bias(); bias.defined()) {
      const at::Tensor terms = bias.to(at::kCPU, at::kDouble) * gradient_sums(id);
      explained = explained + terms;
      magnitude = magnitude + terms.abs();
      constants_ += terms.sum().item<double>();
      constants_size_ += terms.abs().sum().item<double>();
    }
    const OutputGradient& node = walk_.nodes[test::at_node(id)];
    expect_close(explained, relevance_of(node.kernels, clip_), magnitude, "law 1");
    give(graph_.node(id).inputs[0], edges.sum(0), edges.abs().sum(0));
    if (graph_.node(id).inputs.size() == 2) {
      give(graph_.node(id).inputs[1], relevance_of(node.addend, clip_),
           magnitude_of(node.addend, clip_));
    }
  }

  /// Edges are the framework's own weight gradient times the weights, and nothing outside the
  /// group.
  void expect_weight_gradient(NodeId id, const at::Tensor& edges) const {
    const Convolution& layer = executor_.layer(id);
    const Conv3d& op = layer.op();
    const Padding& p = op.padding;
    const at::Tensor x = walk_.trace.values[test::at_node(graph_.node(id).inputs[0])];
    const at::Tensor padded = at::constant_pad_nd(
        x.narrow(0, clip_, 1), std::array<int64_t, 6>{p.before[2], p.after[2], p.before[1],
                                                      p.after[1], p.before[0], p.after[0]});
    const auto longs = [](const Triple& t) { return std::array<int64_t, 3>{t[0], t[1], t[2]}; };
    const at::Tensor gradient = std::get<1>(at::convolution_backward(
        walk_.nodes[test::at_node(id)].gradient.narrow(0, clip_, 1), padded, layer.weight(),
        std::nullopt, longs(op.stride), {0, 0, 0}, longs(op.dilation), false, {0, 0, 0}, op.groups,
        {false, true, false}));
    const at::Tensor own = (gradient * layer.weight()).flatten(2).sum(2).to(at::kDouble);
    const int64_t out = op.out_channels / op.groups, in = op.in_channels / op.groups;
    at::Tensor expected = at::zeros_like(edges);
    for (int64_t group = 0; group < op.groups; ++group) {
      expected.narrow(0, group * out, out)
          .narrow(1, group * in, in)
          .copy_(own.narrow(0, group * out, out));
    }
    EXPECT_LE((edges - expected).abs().max().item<double>(),
              tolerance_ * expected.abs().max().item<double>());
  }

  /// What a node that is no layer passes on to its inputs.
  void pass_on(NodeId id) {
    const Node& node = graph_.node(id);
    const OutputGradient& found = walk_.nodes[test::at_node(id)];
    const at::Tensor relevance = relevance_of(found.value, clip_);
    const at::Tensor magnitude = magnitude_of(found.value, clip_);
    if (std::holds_alternative<Input>(node.op)) return;
    if (std::holds_alternative<Add>(node.op)) {
      give(node.inputs[0], relevance_of(found.kernels, clip_), magnitude_of(found.kernels, clip_));
      give(node.inputs[1], relevance_of(found.addend, clip_), magnitude_of(found.addend, clip_));
    } else if (std::holds_alternative<Concat>(node.op)) {
      int64_t offset = 0;
      for (const NodeId input : node.inputs) {
        const int64_t channels = graph_.channels(input);
        give(input, relevance.narrow(0, offset, channels), magnitude.narrow(0, offset, channels));
        offset += channels;
      }
    } else if (const auto* select = std::get_if<SelectChannels>(&node.op)) {
      at::Tensor sums = at::zeros({graph_.channels(node.inputs[0])}, at::kDouble);
      at::Tensor sizes = at::zeros_like(sums);
      for (std::size_t c = 0; c < select->source.size(); ++c) {
        sums[select->source[c]] += relevance[static_cast<int64_t>(c)];
        sizes[select->source[c]] += magnitude[static_cast<int64_t>(c)];
      }
      give(node.inputs[0], sums, sizes);
    } else if (std::holds_alternative<BatchNorm3d>(node.op)) {
      const at::Tensor shift =
          executor_.norm_shift(id).to(at::kCPU, at::kDouble) * gradient_sums(id);
      give(node.inputs[0], relevance - shift, magnitude + shift.abs());
      constants_ += shift.sum().item<double>();
      constants_size_ += shift.abs().sum().item<double>();
    } else {
      give(node.inputs[0], relevance, magnitude);
    }
  }

  /// Law 2: what all readers of a tensor take from a channel is the channel's relevance.
  void expect_all_read(NodeId id) const {
    const Shares& shares = passed_on_[test::at_node(id)];
    ASSERT_TRUE(shares.sum.defined()) << "nobody reads it";
    expect_close(shares.sum, relevance_of(walk_.nodes[test::at_node(id)].value, clip_),
                 shares.magnitude, "law 2");
  }

  /// Law 3: input, biases and shifts make up the target.
  void expect_target_explained() const {
    const ChannelSums& input = walk_.nodes[0].value;
    const double explained = relevance_of(input, clip_).sum().item<double>() + constants_;
    const double magnitude = magnitude_of(input, clip_).sum().item<double>() + constants_size_;
    EXPECT_NEAR(explained, walk_.target(clip_), tolerance_ * magnitude) << "law 3";
  }

  const Executor& executor_;
  const NetworkGraph& graph_;
  test::FullWalk walk_;
  int64_t clip_;
  double tolerance_;
  std::vector<Shares> passed_on_;
  double constants_ = 0, constants_size_ = 0;
  int layers_ = 0;
};

TEST(Conservation, HoldsOnRandomNetworks) {
  int layers = 0;
  for (std::uint64_t seed = 0; seed < test::kRandomNetworks; ++seed) {
    const auto [network, size] = test::random_network(seed);
    SCOPED_TRACE(testing::Message() << "seed " << seed << '\n' << test::describe(network.graph));
    const Executor executor(network, {.dtype = at::kDouble, .optimise = seed % 4 != 3});
    const at::Tensor clips = test::formula_clips(size, 2, seed);
    for (const bool margin : {false, true}) {
      const auto last = static_cast<int>(seed) % network.num_classes();
      const Conservation laws(network, executor, clips, last, margin, seed % 2, kDoubleTolerance);
      layers += laws.layers();
    }
  }
  EXPECT_GT(layers, 1000);
}

TEST(Conservation, HoldsOnRandomNetworksInSinglePrecision) {
  for (std::uint64_t seed = 0; seed < test::kRandomNetworks; ++seed) {
    const auto [network, size] = test::random_network(seed);
    SCOPED_TRACE(testing::Message() << "seed " << seed << '\n' << test::describe(network.graph));
    const Executor executor(network, {});
    Conservation(network, executor, test::formula_clips(size, 2, seed), 1, false, 1,
                 kFloatTolerance);
  }
}

class ConservationOf : public testing::TestWithParam<std::string> {};

TEST_P(ConservationOf, ReducedNetwork) {
  const auto [network, size] = test::reduced_architecture(GetParam());
  const at::Tensor clips = test::formula_clips(size, 2, 3);
  for (const at::ScalarType type : {at::kDouble, at::kFloat}) {
    SCOPED_TRACE(type == at::kDouble ? "float64" : "float32");
    const double tolerance = type == at::kDouble ? kDoubleTolerance : kFloatTolerance;
    const Executor executor(network, {.dtype = type});
    Conservation(network, executor, clips, 2, false, 0, tolerance);
    Conservation(network, executor, clips, 4, true, 1, tolerance);
  }
}

INSTANTIATE_TEST_SUITE_P(Architectures, ConservationOf, testing::ValuesIn(architecture_names()),
                         [](const auto& info) { return info.param; });

TEST_P(ConservationOf, NetworkAtFullWidth) {
  const auto [network, size] = test::full_architecture(GetParam());
  const Executor executor(network, {});
  Conservation(network, executor, test::formula_clips(size, 1, 1), 100, false, 0, kFloatTolerance);
}

}  // namespace
}  // namespace cfp
