// Routing against what networks do: a constant added to one kernel's output must change exactly the
// channels of the tensors entering the next layers that routing leads back to this kernel.
#include <algorithm>
#include <map>
#include <set>

#include <ATen/TensorOperators.h>
#include <gtest/gtest.h>

#include "stages/network/builders.h"
#include "stages/network/executor.h"
#include "stages/pyramid/routing.h"
#include "tests/support/random_graphs.h"
#include "tests/unit/pyramid/test_networks.h"

namespace cfp {
namespace {

using std::int64_t;

/// Large beside every activation: 50 would not open each ReLU behind a BatchNorm of small scale.
constexpr double kPush = 1e4;

/// Channel `channel` of the tensor that enters `layer`.
struct EnteringChannel {
  NodeId layer;
  int channel;
  auto operator<=>(const EnteringChannel&) const = default;
};
using EnteringChannels = std::set<EnteringChannel>;

/// A kernel of a layer.
using Kernel = std::pair<NodeId, int>;

/// Walks back from a channel to the kernels that it comes from.
void kernels_behind(const NetworkGraph& graph, NodeId id, int channel, std::set<Kernel>& kernels) {
  if (is_layer(graph.node(id))) {
    kernels.emplace(id, channel);
    const auto& inputs = graph.node(id).inputs;
    if (inputs.size() == 2) kernels_behind(graph, inputs[1], channel, kernels);
    return;
  }
  for (const ChannelSource& source : route_channel(graph, id, channel)) {
    kernels_behind(graph, source.node, source.channel, kernels);
  }
}

/// What routing says, turned round: by kernel, the entering channels that come from it.
std::map<Kernel, EnteringChannels> routed(const NetworkGraph& graph) {
  std::map<Kernel, EnteringChannels> result;
  for (NodeId id = 0; id < graph.size(); ++id) {
    if (!is_layer(graph.node(id))) continue;
    const NodeId entering = graph.node(id).inputs[0];
    for (int channel = 0; channel < graph.channels(entering); ++channel) {
      std::set<Kernel> kernels;
      kernels_behind(graph, entering, channel, kernels);
      for (const Kernel& kernel : kernels) result[kernel].insert({id, channel});
    }
  }
  return result;
}

class Perturbation {
 public:
  Perturbation(const Executor& executor, const at::Tensor& clips)
      : executor_(executor), graph_(executor.graph()), trace_(executor.forward(clips, true)) {}

  /// The entering channels that change when `push` is added to one kernel's output. Layers further
  /// on keep what they gave, so that only the way to the next layers shows.
  EnteringChannels changed_by(const Kernel& kernel, double push) const {
    std::vector<at::Tensor> values = trace_.values;
    std::vector<bool> dirty(test::at_node(graph_.size()), false);
    for (NodeId id = kernel.first; id < graph_.size(); ++id) {
      const Node& node = graph_.node(id);
      const auto is_dirty = [&](NodeId input) { return dirty[test::at_node(input)]; };
      if (is_layer(node)) {
        const bool own = id == kernel.first;
        if (!own && !(node.inputs.size() == 2 && is_dirty(node.inputs[1]))) continue;
        values[test::at_node(id)] = layer_output(id, values, own ? kernel.second : -1, push);
      } else if (std::ranges::none_of(carried(node), is_dirty)) {
        continue;
      } else if (std::holds_alternative<Multiply>(node.op)) {
        // The gate is held constant.
        values[test::at_node(id)] =
            values[test::at_node(node.inputs[0])] * trace_.values[test::at_node(node.inputs[1])];
      } else {
        values[test::at_node(id)] = executor_.run_node(id, values);
      }
      dirty[test::at_node(id)] = true;
    }
    EnteringChannels changed;
    for (NodeId id = kernel.first + 1; id < graph_.size(); ++id) {
      if (!is_layer(graph_.node(id)) || !dirty[test::at_node(graph_.node(id).inputs[0])]) continue;
      const std::size_t entering = test::at_node(graph_.node(id).inputs[0]);
      const at::Tensor difference =
          (values[entering] != trace_.values[entering]).transpose(0, 1).flatten(1).any(1);
      for (int64_t c = 0; c < difference.size(0); ++c) {
        if (difference[c].item<bool>()) changed.insert({id, static_cast<int>(c)});
      }
    }
    return changed;
  }

 private:
  /// The inputs whose changes routing follows.
  static std::vector<NodeId> carried(const Node& node) {
    std::vector<NodeId> inputs = node.inputs;
    if (std::holds_alternative<Multiply>(node.op)) inputs.resize(1);
    return inputs;
  }

  /// A layer's value from its undisturbed first input, a second one as it is now, and the push.
  at::Tensor layer_output(NodeId id, const std::vector<at::Tensor>& values, int kernel,
                          double push) const {
    const Node& node = graph_.node(id);
    const auto* conv = std::get_if<Conv3d>(&node.op);
    const at::Tensor residual =
        node.inputs.size() == 2 ? values[test::at_node(node.inputs[1])] : at::Tensor();
    at::Tensor z =
        executor_.layer(id).forward(trace_.values[test::at_node(node.inputs[0])], residual, false);
    if (kernel >= 0) z.select(1, kernel).add_(push);
    return conv != nullptr && conv->relu ? z.clamp_min(0) : z;
  }

  const Executor& executor_;
  const NetworkGraph& graph_;
  Trace trace_;
};

std::string text(const NetworkGraph& graph, const EnteringChannels& channels) {
  std::string result;
  for (const auto& [layer, channel] : channels) {
    result += " " + graph.node(layer).name + "[" + std::to_string(channel) + "]";
  }
  return result.empty() ? " none" : result;
}

/// @param step of each layer's kernels every step-th is tried
/// @return how many kernels were tried
int expect_routing_holds(const Network& network, const Triple& size, bool optimise, int step) {
  const Executor executor(network, {.dtype = at::kDouble, .optimise = optimise});
  const NetworkGraph& graph = executor.graph();
  const Perturbation perturbation(executor, test::formula_clips(size, 1, 5));
  const std::map<Kernel, EnteringChannels> expected = routed(graph);
  int tried = 0;
  for (NodeId id = 0; id < graph.size(); ++id) {
    if (!is_layer(graph.node(id))) continue;
    for (int kernel = id % step; kernel < graph.channels(id); kernel += step, ++tried) {
      EnteringChannels changed = perturbation.changed_by({id, kernel}, kPush);
      changed.merge(perturbation.changed_by({id, kernel}, -kPush));
      const auto known = expected.find({id, kernel});
      const EnteringChannels said = known == expected.end() ? EnteringChannels{} : known->second;
      EXPECT_EQ(changed, said) << graph.node(id).name << " kernel " << kernel << "\nchanges"
                               << text(graph, changed) << "\nrouting says" << text(graph, said);
    }
  }
  return tried;
}

TEST(Routing, NamesWhatAPushChangesInRandomNetworks) {
  int tried = 0;
  for (std::uint64_t seed = 0; seed < test::kRandomNetworks; ++seed) {
    const auto [network, size] = test::random_network(seed);
    SCOPED_TRACE(testing::Message() << "seed " << seed << '\n' << test::describe(network.graph));
    tried += expect_routing_holds(network, size, seed % 2 == 0, 1);
  }
  EXPECT_GT(tried, 2500);
}

class RoutingOf : public testing::TestWithParam<std::string> {};

TEST_P(RoutingOf, NamesWhatAPushChanges) {
  const auto [network, size] = test::reduced_architecture(GetParam());
  for (const bool optimise : {false, true}) {
    SCOPED_TRACE(optimise ? "after the passes" : "as built");
    EXPECT_GT(expect_routing_holds(network, size, optimise, 5), 20);
  }
}

TEST_P(RoutingOf, NamesWhatAPushChangesAtFullWidth) {
  const auto [network, size] = test::full_architecture(GetParam());
  int kernels = 0;
  for (NodeId id = 0; id < network.graph.size(); ++id) {
    if (is_layer(network.graph.node(id))) kernels += network.graph.channels(id);
  }
  EXPECT_GT(expect_routing_holds(network, size, true, kernels / 60), 20);
}

INSTANTIATE_TEST_SUITE_P(Architectures, RoutingOf, testing::ValuesIn(architecture_names()),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace cfp
