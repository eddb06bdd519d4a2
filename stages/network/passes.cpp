#include "stages/network/passes.h"

#include <cmath>
#include <optional>
#include <utility>

namespace cfp {
namespace {

/// A graph being rewritten: nodes may be changed, and a node may stand for another one.
class Draft {
 public:
  explicit Draft(const NetworkGraph& graph) : nodes_(graph.nodes()) {
    for (NodeId id = 0; id < graph.size(); ++id) stands_for_.push_back(id);
  }

  Node& node(NodeId id) { return nodes_[static_cast<std::size_t>(id)]; }

  /// Removes `id`; whoever reads it reads `replacement` from now on.
  void replace(NodeId id, NodeId replacement) {
    stands_for_[static_cast<std::size_t>(id)] = replacement;
  }

  /// Moves node `id` to the place of node `place`, which it takes over.
  void move_to(NodeId id, NodeId place) {
    node(place) = std::move(node(id));
    removed_.resize(nodes_.size());
    removed_[static_cast<std::size_t>(id)] = true;
  }

  NetworkGraph finish() const {
    NetworkGraph graph;
    std::vector<NodeId> new_from_old(nodes_.size(), -1);
    for (std::size_t old = 0; old < nodes_.size(); ++old) {
      if (old < removed_.size() && removed_[old]) continue;
      if (stands_for_[old] != static_cast<NodeId>(old)) {
        new_from_old[old] = new_from_old[static_cast<std::size_t>(stands_for_[old])];
        continue;
      }
      std::vector<NodeId> inputs;
      for (const NodeId input : nodes_[old].inputs) {
        inputs.push_back(new_from_old[static_cast<std::size_t>(input)]);
      }
      new_from_old[old] = graph.add(nodes_[old].name, nodes_[old].op, std::move(inputs));
    }
    return graph;
  }

 private:
  std::vector<Node> nodes_;
  std::vector<NodeId> stands_for_;
  std::vector<bool> removed_;
};

WeightTensor make_tensor(std::vector<std::int64_t> shape, std::vector<float> values) {
  auto owner = std::make_shared<const std::vector<float>>(std::move(values));
  return {std::move(shape), std::shared_ptr<const float>(owner, owner->data())};
}

/// Multiplies each kernel by its BatchNorm's factor and gives it the bias that is left.
void fold_into_weights(const std::string& conv, const std::string& norm, double eps,
                       Weights& weights) {
  const WeightTensor& weight = weights.at(conv + ".weight");
  const std::int64_t kernels = weight.shape.at(0);
  const std::int64_t elements = weight.elements() / kernels;
  const auto bias = weights.find(conv + ".bias");
  const float* gamma = weights.at(norm + ".weight").data.get();
  const float* beta = weights.at(norm + ".bias").data.get();
  const float* mean = weights.at(norm + ".running_mean").data.get();
  const float* variance = weights.at(norm + ".running_var").data.get();

  std::vector<float> folded(static_cast<std::size_t>(weight.elements()));
  std::vector<float> folded_bias(static_cast<std::size_t>(kernels));
  for (std::int64_t k = 0; k < kernels; ++k) {
    const double factor = gamma[k] / std::sqrt(static_cast<double>(variance[k]) + eps);
    const double old_bias = bias == weights.end() ? 0.0 : bias->second.data.get()[k];
    for (std::int64_t i = k * elements; i < (k + 1) * elements; ++i) {
      folded[static_cast<std::size_t>(i)] = static_cast<float>(weight.data.get()[i] * factor);
    }
    folded_bias[static_cast<std::size_t>(k)] =
        static_cast<float>((old_bias - mean[k]) * factor + beta[k]);
  }
  WeightTensor new_weight = make_tensor(weight.shape, std::move(folded));
  weights[conv + ".weight"] = std::move(new_weight);
  weights[conv + ".bias"] = make_tensor({kernels}, std::move(folded_bias));
  for (const char* suffix : {".weight", ".bias", ".running_mean", ".running_var"}) {
    weights.erase(norm + suffix);
  }
}

/// @return the convolution that makes input `index` of `reader`, if nothing else reads it and
///         nothing has been fused into it
std::optional<NodeId> plain_conv_before(const NetworkGraph& graph, NodeId reader,
                                        std::size_t index) {
  const NodeId id = graph.node(reader).inputs.at(index);
  const auto* conv = std::get_if<Conv3d>(&graph.node(id).op);
  if (conv == nullptr || conv->relu || graph.node(id).inputs.size() != 1) return std::nullopt;
  if (graph.readers(id).size() != 1) return std::nullopt;
  return id;
}

/// @return where the op keeps whether a ReLU follows; null for ops that have no such place
bool* fused_relu(Op& op) {
  if (auto* conv = std::get_if<Conv3d>(&op)) return &conv->relu;
  if (auto* norm = std::get_if<BatchNorm3d>(&op)) return &norm->relu;
  if (auto* add = std::get_if<Add>(&op)) return &add->relu;
  return nullptr;
}

}  // namespace

Network fold_batch_norms(const Network& network) {
  Network result = network;
  Draft draft(network.graph);
  for (NodeId id = 0; id < network.graph.size(); ++id) {
    const Node& node = network.graph.node(id);
    const auto* norm = std::get_if<BatchNorm3d>(&node.op);
    if (norm == nullptr || norm->relu) continue;
    const auto conv = plain_conv_before(network.graph, id, 0);
    if (!conv) continue;
    fold_into_weights(network.graph.node(*conv).name, node.name, norm->eps, result.weights);
    std::get<Conv3d>(draft.node(*conv).op).bias = true;
    draft.replace(id, *conv);
  }
  result.graph = draft.finish();
  return result;
}

Network fuse_additions(const Network& network) {
  Network result = network;
  Draft draft(network.graph);
  for (NodeId id = 0; id < network.graph.size(); ++id) {
    const Node& node = network.graph.node(id);
    const auto* add = std::get_if<Add>(&node.op);
    if (add == nullptr || add->relu || node.inputs[0] == node.inputs[1]) continue;
    for (const std::size_t side : {0UL, 1UL}) {
      const auto conv = plain_conv_before(network.graph, id, side);
      if (!conv) continue;
      Node& fused = draft.node(*conv);
      std::get<Conv3d>(fused.op).addition = node.name;
      fused.inputs.push_back(node.inputs[1 - side]);
      draft.move_to(*conv, id);
      break;
    }
  }
  result.graph = draft.finish();
  return result;
}

Network fuse_relus(const Network& network) {
  Network result = network;
  Draft draft(network.graph);
  for (NodeId id = 0; id < network.graph.size(); ++id) {
    if (!std::holds_alternative<Relu>(network.graph.node(id).op)) continue;
    const NodeId before = network.graph.node(id).inputs[0];
    bool* relu = fused_relu(draft.node(before).op);
    if (relu == nullptr || *relu || network.graph.readers(before).size() != 1) continue;
    *relu = true;
    draft.replace(id, before);
  }
  result.graph = draft.finish();
  return result;
}

Network optimise(const Network& network) {
  return fuse_relus(fuse_additions(fold_batch_norms(network)));
}

}  // namespace cfp
