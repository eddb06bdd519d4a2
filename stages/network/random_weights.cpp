#include "stages/network/random_weights.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <memory>
#include <span>
#include <string>
#include <thread>

#include "stages/core/formula.h"

namespace cfp {
namespace {

/// Values (u - centre) * scale + offset. Each is rounded once: u - centre is exact, and so is the
/// product wherever an offset is added (scale is then a power of two).
struct Distribution {
  float centre, scale, offset;
};

constexpr Distribution kBias{0.5F, 0.2F, 0};
constexpr Distribution kNormWeight{0, 0.5F, 0.4375F};
constexpr Distribution kNormShift{0.5F, 0.4F, 0};
constexpr Distribution kNormVariance{0, 1, 0.5F};

struct Fill {
  FormulaStream stream;
  Distribution distribution;
  std::span<float> values;

  void run(std::size_t begin, std::size_t end) const {
    // Copies, so that the compiler need not fear that `values` overlaps them.
    const FormulaStream source = stream;
    const auto [centre, scale, offset] = distribution;
    float* out = values.data();
    if (offset == 0) {
      // No `+ 0`: it would turn -0 into +0.
      for (std::size_t i = begin; i < end; ++i) out[i] = (source.uniform(i) - centre) * scale;
    } else {
      for (std::size_t i = begin; i < end; ++i) out[i] = source.uniform(i) * scale + offset;
    }
  }
};

Distribution weight_distribution(const TensorSpec& spec, bool gives_logits) {
  std::int64_t fan_in = 1;
  for (std::size_t axis = 1; axis < spec.shape.size(); ++axis) fan_in *= spec.shape[axis];
  const double gain = gives_logits ? 1 : 2;
  return {0.5F, static_cast<float>(std::sqrt(12 * gain / static_cast<double>(fan_in))), 0};
}

Distribution distribution_of(const Node& node, const TensorSpec& spec, bool gives_logits) {
  const auto is = [&](std::string_view suffix) { return spec.name.ends_with(suffix); };
  if (std::holds_alternative<BatchNorm3d>(node.op)) {
    if (is(".running_var")) return kNormVariance;
    return is(".weight") ? kNormWeight : kNormShift;
  }
  return is(".bias") ? kBias : weight_distribution(spec, gives_logits);
}

/// Fills all tensors, in pieces that several threads take one after another. Which thread fills a
/// piece has no influence on its values.
void fill_all(const std::vector<Fill>& fills) {
  constexpr std::size_t kPiece = 1 << 18;  // 1 MiB of floats: enough work for a fetch, still many
  struct Piece {
    const Fill* fill;
    std::size_t begin, end;
  };
  std::vector<Piece> pieces;
  for (const Fill& fill : fills) {
    for (std::size_t begin = 0; begin < fill.values.size(); begin += kPiece) {
      pieces.push_back({&fill, begin, std::min(begin + kPiece, fill.values.size())});
    }
  }
  std::atomic<std::size_t> next{0};
  const auto work = [&] {
    for (std::size_t i = next++; i < pieces.size(); i = next++) {
      pieces[i].fill->run(pieces[i].begin, pieces[i].end);
    }
  };
  std::vector<std::jthread> helpers;
  const std::size_t threads =
      std::min<std::size_t>({std::thread::hardware_concurrency(), pieces.size(), 16});
  for (std::size_t t = 1; t < threads; ++t) helpers.emplace_back(work);
  work();
}

}  // namespace

Weights formula_weights(const NetworkGraph& graph, std::uint64_t base_seed) {
  Weights weights;
  std::vector<Fill> fills;
  const std::vector<int> depths = layer_depths(graph);
  for (NodeId id = 0; id < graph.size(); ++id) {
    const Node& node = graph.node(id);
    const bool gives_logits = depths[static_cast<std::size_t>(id)] == 1;
    for (TensorSpec& spec : tensor_specs(node)) {
      WeightTensor tensor{spec.shape, nullptr};
      const auto count = static_cast<std::size_t>(tensor.elements());
      const std::shared_ptr<float[]> values = std::make_shared_for_overwrite<float[]>(count);
      tensor.data = std::shared_ptr<const float>(values, values.get());
      fills.push_back({FormulaStream(base_seed, spec.name),
                       distribution_of(node, spec, gives_logits),
                       {values.get(), count}});
      weights.emplace(std::move(spec.name), std::move(tensor));
    }
  }
  fill_all(fills);
  return weights;
}

std::vector<float> formula_input(const Triple& size, std::uint64_t base_seed, int channels) {
  const std::size_t count = static_cast<std::size_t>(channels) * static_cast<std::size_t>(size[0]) *
                            static_cast<std::size_t>(size[1]) * static_cast<std::size_t>(size[2]);
  std::vector<float> values(count);
  fill_all({{FormulaStream(base_seed, "input"), {0.5F, 2, 0}, values}});
  return values;
}

}  // namespace cfp
