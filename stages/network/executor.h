// Runs a network on a device, forward and node by node backward.
//
// There is no autograd graph: what a node's gradient needs is its own value and those of its
// inputs, which the forward pass keeps where it is asked to.
//
//   Executor executor(network, {.device = at::kCPU});
//   Trace trace = executor.forward(clips, {keep});
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <vector>

#include <ATen/core/Tensor.h>

#include "stages/network/convolution.h"
#include "stages/network/network.h"
#include "stages/network/tap_means.h"

namespace cfp {

struct ExecutorOptions {
  at::Device device = at::kCPU;
  at::ScalarType dtype = at::kFloat;  ///< float32, or float64 for tests
  bool optimise = true;               ///< run the passes of passes.h first
  bool fused = true;                  ///< use fused operators where they are available
};

/// What a forward pass is to leave behind, by node; no entries: nothing of any.
struct ForwardPlan {
  std::vector<bool> keep;                    ///< whether the value stays
  std::vector<std::vector<Window>> windows;  ///< what is to be known of it on average
};

/// What a forward pass leaves behind.
struct Trace {
  std::vector<at::Tensor> values;  ///< by node: [B, C, T, H, W]; undefined where it was not kept
  /// By node: tap_means() of the windows asked for, taken while the value is still in the caches.
  std::vector<std::map<Window, at::Tensor>> means;
  at::Tensor logits;  ///< [B, classes]
};

/// A network's tensors on one device. Safe to use from several threads at once.
class Executor {
 public:
  /// @throws SystemError the device is not there or out of memory
  Executor(const Network& network, const ExecutorOptions& options);

  /// The graph that is run: after the passes. Values of a trace go by its nodes.
  const NetworkGraph& graph() const { return graph_; }
  const ExecutorOptions& options() const { return options_; }

  /// @param input_ncthw [B, C, T, H, W], normalised, on any device
  /// @throws ConfigError the network takes clips of one size only, and these are of another
  Trace forward(const at::Tensor& input_ncthw, const ForwardPlan& plan) const;
  /// Forward with everything kept, or with nothing but the logits.
  Trace forward(const at::Tensor& input_ncthw, bool keep_all = false) const;

  /// One node's value from those of its inputs.
  at::Tensor run_node(NodeId id, const std::vector<at::Tensor>& values) const;

  /// The gradient at one input of a node, which may be added to one that is there already.
  ///
  /// @param g      gradient at the node's sum: after its ReLU, before its addition
  /// @param index  which input
  /// @param add_to gradient to add to; undefined: none. May be overwritten.
  at::Tensor input_gradient(NodeId id, std::size_t index, const at::Tensor& g,
                            const std::vector<at::Tensor>& values, const at::Tensor& add_to) const;

  /// A layer as a convolution; a linear classifier is one of 1x1x1 on one position.
  const Convolution& layer(NodeId id) const;
  /// The same with the negative weights set to zero and no bias: z+. Made when first asked for.
  const Convolution& positive_layer(NodeId id) const;
  /// Scale and shift [C] of a BatchNorm that stands alone.
  const at::Tensor& norm_scale(NodeId id) const { return norm_scale_.at(index(id)); }
  const at::Tensor& norm_shift(NodeId id) const { return norm_shift_.at(index(id)); }

  /// @return a tensor as the executor keeps its activations: device, number type, layout
  at::Tensor to_layout(const at::Tensor& ncthw) const;

 private:
  static std::size_t index(NodeId id) { return static_cast<std::size_t>(id); }
  void check_size(const at::Tensor& input_ncthw) const;
  void load_layer(NodeId id, const Weights& weights);
  void load_norm(NodeId id, const Weights& weights);

  ExecutorOptions options_;
  NetworkGraph graph_;
  std::optional<Triple> clip_size_;  ///< as in Network
  std::vector<int> last_reader_;     ///< by node: the last node that reads it
  std::vector<std::shared_ptr<const Convolution>> layers_;
  std::vector<at::Tensor> norm_scale_, norm_shift_;
  mutable std::mutex positive_mutex_;
  mutable std::vector<std::shared_ptr<const Convolution>> positive_layers_;
};

}  // namespace cfp
