// What the explainer says of a network against LibTorch's automatic differentiation of the same
// network, run layer by layer as built, in float64: nothing here goes through the executor.
#include <algorithm>
#include <limits>
#include <map>

#include <ATen/TensorOperators.h>
#include <ATen/ops/avg_pool3d.h>
#include <ATen/ops/batch_norm.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/conv3d.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/max_pool3d.h>
#include <ATen/ops/zeros.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "stages/network/builders.h"
#include "stages/pyramid/explainer.h"
#include "tests/unit/pyramid/test_networks.h"

namespace cfp {
namespace {

using std::int64_t;

std::array<int64_t, 3> longs(const Triple& t) { return {t[0], t[1], t[2]}; }

at::Tensor padded(const at::Tensor& x, const Padding& p, double value) {
  return at::constant_pad_nd(x,
                             std::array<int64_t, 6>{p.before[2], p.after[2], p.before[1],
                                                    p.after[1], p.before[0], p.after[0]},
                             value);
}

/// A network as built, every value of which can be differentiated by.
class AutogradNetwork {
 public:
  AutogradNetwork(const Network& network, const at::Tensor& input) : graph_(network.graph) {
    for (const auto& [name, stored] : network.weights) {
      at::Tensor tensor =
          at::from_blob(const_cast<float*>(stored.data.get()), stored.shape, at::kFloat)
              .to(at::kDouble);
      weights_[name] = tensor.requires_grad_(true);
    }
    for (NodeId id = 0; id < graph_.size(); ++id) {
      values_.push_back(id == 0 ? input.to(at::kDouble).clone().requires_grad_(true) : run(id));
      values_.back().retain_grad();
    }
  }

  at::Tensor logits() const { return values_.back().flatten(1); }
  void differentiate(int class_index) { logits()[0][class_index].backward(); }

  /// The output of a layer, the BatchNorm that directly follows included.
  NodeId output_of(NodeId layer) const {
    const auto readers = graph_.readers(layer);
    const bool normed =
        readers.size() == 1 && std::holds_alternative<BatchNorm3d>(graph_.node(readers[0]).op);
    return normed && !std::holds_alternative<Linear>(graph_.node(layer).op) ? readers[0] : layer;
  }

  /// P and N [C] of a node's value.
  std::pair<at::Tensor, at::Tensor> sums(NodeId id) const { return sums(id, id); }
  /// P and N [C] of an addend, by the gradient at the sum.
  std::pair<at::Tensor, at::Tensor> sums(NodeId value_at, NodeId gradient_at) const {
    const at::Tensor value = values_[test::at_node(value_at)].detach();
    const at::Tensor product =
        (values_[test::at_node(gradient_at)].grad() * value).reshape({value.size(1), -1}).detach();
    return {product.clamp_min(0).sum(1), (-product).clamp_min(0).sum(1)};
  }

  /// [C_out, C_in]: the weight gradient times the weights; a scale behind them cancels.
  at::Tensor edges(NodeId layer) const {
    const Node& node = graph_.node(layer);
    const at::Tensor& weight = weights_.at(node.name + ".weight");
    const at::Tensor product = (weight.grad() * weight.detach()).flatten(1).detach();
    const auto* conv = std::get_if<Conv3d>(&node.op);
    if (conv == nullptr || conv->groups == 1) {
      return product.view({weight.size(0), weight.size(1), -1}).sum(2);
    }
    const at::Tensor own = product.view({weight.size(0), weight.size(1), -1}).sum(2);
    at::Tensor all = at::zeros({own.size(0), conv->in_channels}, own.options());
    for (int64_t i = 0; i < own.size(0); ++i) {
      const int64_t group = i / (conv->out_channels / conv->groups);
      all[i].narrow(0, group * own.size(1), own.size(1)).copy_(own[i]);
    }
    return all;
  }

 private:
  at::Tensor weight(const Node& node, const char* suffix) const {
    const auto found = weights_.find(node.name + suffix);
    return found == weights_.end() ? at::Tensor() : found->second;
  }

  at::Tensor run(NodeId id) const {
    const Node& node = graph_.node(id);
    const at::Tensor& x = values_[test::at_node(node.inputs.at(0))];
    if (const auto* conv = std::get_if<Conv3d>(&node.op)) {
      return at::conv3d(padded(x, conv->padding, 0), weight(node, ".weight"), weight(node, ".bias"),
                        longs(conv->stride), {0, 0, 0}, longs(conv->dilation), conv->groups);
    }
    if (const auto* norm = std::get_if<BatchNorm3d>(&node.op)) {
      return at::batch_norm(x, weight(node, ".weight"), weight(node, ".bias"),
                            weight(node, ".running_mean").detach(),
                            weight(node, ".running_var").detach(), false, 0, norm->eps, false);
    }
    if (const auto* pool = std::get_if<MaxPool3d>(&node.op)) {
      const double outside = pool->zero_padding ? 0 : -std::numeric_limits<double>::infinity();
      return at::max_pool3d(padded(x, pool->padding, outside), longs(pool->kernel),
                            longs(pool->stride), 0, 1, pool->ceil_mode);
    }
    if (const auto* pool = std::get_if<AvgPool3d>(&node.op)) {
      return at::avg_pool3d(x, longs(pool->kernel), longs(pool->stride));
    }
    if (std::holds_alternative<Relu>(node.op)) return x.relu();
    if (std::holds_alternative<GlobalAverage>(node.op)) return x.mean({2, 3, 4});
    if (std::holds_alternative<Add>(node.op)) {
      return x + values_[test::at_node(node.inputs[1])];
    }
    if (std::holds_alternative<Linear>(node.op)) {
      return at::linear(x, weight(node, ".weight"), weight(node, ".bias"));
    }
    std::vector<at::Tensor> parts;
    for (const NodeId input : node.inputs) parts.push_back(values_[test::at_node(input)]);
    return at::cat(parts, 1);
  }

  const NetworkGraph& graph_;
  std::map<std::string, at::Tensor> weights_;
  std::vector<at::Tensor> values_;
};

/// What the network gets of a clip with the preset `demo`: -1..1.
at::Tensor normalised(const Clip& clip) {
  const Frames& f = clip.frames;
  return at::from_blob(const_cast<std::uint8_t*>(f.rgb_thwc.data()),
                       {1, f.length, f.height, f.width, 3}, at::kByte)
                 .to(at::kDouble)
                 .permute({0, 4, 1, 2, 3}) /
             127.5 -
         1;
}

// Gradients in float32 through some thirty layers against float64: 1e-5 seen of a tensor's largest
// sum. A ReLU or a maximum that is decided otherwise by rounding would cost more, and none is here.
constexpr double kTolerance = 1e-4;

void expect_sums(const ChannelRelevance& found, const std::pair<at::Tensor, at::Tensor>& expected) {
  const double unit =
      std::max(expected.first.max().item<double>(), expected.second.max().item<double>());
  ASSERT_EQ(static_cast<int64_t>(found.channels()), expected.first.size(0));
  for (std::size_t c = 0; c < found.channels(); ++c) {
    const auto channel = static_cast<int64_t>(c);
    EXPECT_NEAR(found.positive[c], expected.first[channel].item<double>(), kTolerance * unit)
        << "P of channel " << c;
    EXPECT_NEAR(found.negative[c], expected.second[channel].item<double>(), kTolerance * unit)
        << "N of channel " << c;
  }
}

/// Exactly the positive edges between found kernels and channels, with their scores.
void expect_edges(const PyramidLayer& layer, const at::Tensor& expected) {
  const double unit = expected.abs().max().item<double>();
  std::map<std::pair<int64_t, int64_t>, float> kept;
  for (const Edge& edge : layer.edges) kept[{edge.kernel, edge.channel}] = edge.score;
  EXPECT_EQ(kept.size(), layer.edges.size()) << "an edge twice";
  for (int64_t i = 0; i < expected.size(0); ++i) {
    for (int64_t j = 0; j < expected.size(1); ++j) {
      const bool joined = layer.kernels.found[static_cast<std::size_t>(i)] &&
                          layer.channels.found[static_cast<std::size_t>(j)];
      const auto edge = kept.find({i, j});
      const double score = joined ? std::max(expected[i][j].item<double>(), 0.0) : 0;
      EXPECT_NEAR(edge == kept.end() ? 0 : edge->second, score, kTolerance * unit)
          << "kernel " << i << ", channel " << j;
    }
  }
}

void expect_as_autograd(const test::TestNetwork& made, int class_index, std::uint64_t seed) {
  const Clip clip = test::formula_frames(made.clip_size, seed);
  AutogradNetwork autograd(made.network, normalised(clip));
  autograd.differentiate(class_index);

  ExplainOptions options{.target = TargetKind::kClass, .target_class = class_index, .depth = 0};
  Explainer explainer(std::make_shared<const Network>(made.network), preprocess_preset("demo"),
                      options, {});
  const auto outcome = explainer.explain(std::span(&clip, 1)).at(0);
  const Pyramid& pyramid = std::get<ClipResult>(outcome).pyramids.at(0);
  EXPECT_NEAR(pyramid.target.value, autograd.logits()[0][class_index].item<double>(),
              kTolerance * autograd.logits().abs().max().item<double>());
  const NetworkGraph& graph = made.network.graph;
  EXPECT_EQ(static_cast<int64_t>(pyramid.layers.size()),
            std::ranges::count_if(graph.nodes(), is_layer));
  for (const PyramidLayer& layer : pyramid.layers) {
    SCOPED_TRACE("layer " + layer.name);
    const NodeId id = graph.find(layer.name);
    expect_sums(layer.kernels, autograd.sums(autograd.output_of(id)));
    expect_sums(layer.channels, autograd.sums(graph.node(id).inputs[0]));
    expect_edges(layer, autograd.edges(id));
  }
  EXPECT_EQ(static_cast<int64_t>(pyramid.additions.size()),
            std::ranges::count_if(graph.nodes(), [](const Node& node) {
              return std::holds_alternative<Add>(node.op);
            }));
  for (const PyramidAddition& addition : pyramid.additions) {
    SCOPED_TRACE("addition " + addition.name);
    const NodeId id = graph.find(addition.name);
    expect_sums(addition.sum, autograd.sums(id));
    const std::vector<NodeId>& addends = graph.node(id).inputs;
    const NodeId first = autograd.output_of(graph.find(addition.addend_names.at(0)));
    ASSERT_TRUE(first == addends[0] || first == addends[1]) << addition.addend_names[0];
    expect_sums(addition.addends.at(0), autograd.sums(first, id));
    const NodeId second = addends[0] == first ? addends[1] : addends[0];
    expect_sums(addition.addends.at(1), autograd.sums(second, id));
  }
}

class AgainstAutograd : public testing::TestWithParam<std::string> {};

TEST_P(AgainstAutograd, GivesItsNumbers) {
  expect_as_autograd(test::reduced_architecture(GetParam()), 2, 1);
}

INSTANTIATE_TEST_SUITE_P(Architectures, AgainstAutograd, testing::ValuesIn(architecture_names()),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace cfp
