#include "stages/pyramid/explainer_parts.h"

#include <algorithm>
#include <cstring>
#include <stdexcept>

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/tensor.h>

#include "stages/network/executor.h"
#include "stages/network/tensor_kernels.h"
#include "stages/pyramid/tubes.h"

namespace cfp {
namespace {

std::size_t index(std::int64_t i) { return static_cast<std::size_t>(i); }

/// The sum at a node, if the pyramid covers it.
bool covered_sum(const NodeRelevance& known) {
  return known.addends.size() == 2 && known.value.has_value();
}

PyramidAddition make_addition(const NetworkGraph& graph, NodeId id, const NodeRelevance& known) {
  const Node& node = graph.node(id);
  const auto* conv = std::get_if<Conv3d>(&node.op);
  PyramidAddition addition;
  addition.name = conv != nullptr ? conv->addition : node.name;
  addition.sum = *known.value;
  addition.addends = known.addends;
  addition.addend_names = {conv != nullptr ? node.name : graph.node(node.inputs[0]).name,
                           graph.node(node.inputs[1]).name};
  return addition;
}

}  // namespace

Normalisation normalisation_of(const PreprocessOptions& options, at::Device device) {
  Normalisation result;
  std::vector<double> scale, shift;
  InputBounds bounds;
  for (std::size_t c = 0; c < 3; ++c) {
    scale.push_back((options.range_max - options.range_min) / 255 / options.std[c]);
    shift.push_back((options.range_min - options.mean[c]) / options.std[c]);
    bounds.low.push_back(shift[c]);
    bounds.high.push_back(255 * scale[c] + shift[c]);
  }
  result.input = std::make_shared<const BoundedInput>(std::move(bounds));
  result.scale = at::tensor(scale, at::kDouble).to(device, at::kFloat);
  result.shift = at::tensor(shift, at::kDouble).to(device, at::kFloat);
  return result;
}

at::Tensor ExplainerParts::to_batch(std::span<const Clip> clips) const {
  const Frames& first = clips.front().frames;
  at::Tensor bytes = at::empty(
      {static_cast<std::int64_t>(clips.size()), first.length, first.height, first.width, 3},
      at::TensorOptions(at::kByte).pinned_memory(!device.is_cpu()));
  for (std::size_t b = 0; b < clips.size(); ++b) {
    const Frames& frames = clips[b].frames;
    if (frames.length != first.length || frames.height != first.height ||
        frames.width != first.width) {
      throw std::invalid_argument("clips of one batch have one size");
    }
    std::memcpy(bytes[static_cast<std::int64_t>(b)].data_ptr<std::uint8_t>(),
                frames.rgb_thwc.data(), frames.rgb_thwc.size());
  }
  const at::Tensor ncthw =
      bytes.to(device, at::kFloat, /*non_blocking=*/true).permute({0, 4, 1, 2, 3});
  return scale_shift(ncthw, normalisation.scale, normalisation.shift, false);
}

void ExplainerParts::add_tubes(const Trace& trace, std::span<const int> classes,
                               std::span<const PyramidRequest> requests,
                               std::span<Scores> scores) const {
  std::vector<TubeRequest> open;
  std::vector<std::size_t> of_open;
  for (std::size_t r = 0; r < requests.size(); ++r) {
    if (!scores[r].tubes.empty()) continue;
    switch (requests[r].options.tubes) {
      case TubeKind::kNone:
        break;
      case TubeKind::kExcitation:
        open.push_back({&requests[r].plan, &scores[r].relevance});
        of_open.push_back(r);
        break;
      case TubeKind::kWeighted:
        scores[r].tubes = weighted_tubes(trace, requests[r].plan, scores[r].relevance);
        break;
    }
  }
  if (open.empty()) return;
  auto tubes = excitation_tubes(*executor, trace, classes, *normalisation.input, open);
  for (std::size_t i = 0; i < tubes.size(); ++i) scores[of_open[i]].tubes = std::move(tubes[i]);
}

Pyramid ExplainerParts::assemble(const PyramidRequest& request,
                                 std::vector<NodeRelevance>& relevance, std::vector<Tube>* tubes,
                                 const RowTarget& target, double value) const {
  const auto& [options, plan] = request;
  const NetworkGraph& graph = executor->graph();
  Pyramid pyramid{.target = {target.class_index, options.margin ? "margin" : "logit", value},
                  .method = options.method};
  for (NodeId id = graph.output(); id >= 0; --id) {
    const NodeRelevance& known = relevance[index(id)];
    if (covered_sum(known)) pyramid.additions.push_back(make_addition(graph, id, known));
  }
  for (std::size_t l = 0; l < plan.layers.size(); ++l) {
    const PyramidPlan::Layer& layer = plan.layers[l];
    NodeRelevance& known = relevance[index(layer.node)];
    PyramidLayer out{.name = graph.node(layer.node).name, .depth = layer.depth};
    out.kernels = std::move(*known.kernels);
    out.channels = *relevance[index(layer.entering)].value;
    out.edges = std::move(known.edges);
    if (tubes != nullptr) out.tube = std::move((*tubes)[l]);
    pyramid.layers.push_back(std::move(out));
  }
  return pyramid;
}

}  // namespace cfp
