// One convolution on one device: forward, and back to its input, by the fastest way there is.
//
// On a CPU in float32 LibTorch carries oneDNN operators that fuse addition and ReLU and take
// weights packed beforehand; they are what its own compiler uses, and 1.3 to 5 times faster than
// the plain calls (docs/performance.md). They are no stable interface, so they are reached by name
// at run time, checked once against the plain operators, and done without where the check fails.
#pragma once

#include <map>
#include <memory>
#include <mutex>

#include <ATen/core/Tensor.h>

#include "stages/network/fused_convolutions.h"
#include "stages/network/graph.h"
#include "stages/network/stem.h"

namespace cfp {

/// A convolution's weights, and packed copies of them made when first needed. Safe to share between
/// threads.
class Convolution {
 public:
  /// @param weight [C_out, C_in/groups, kT, kH, kW]
  /// @param bias   [C_out], or undefined
  /// @param fused  use the fused operators; only for float32 on a CPU where they are available
  Convolution(const Conv3d& op, at::Tensor weight, at::Tensor bias, bool fused);

  /// @param x        [B, C_in, T, H, W]
  /// @param residual added to the result before the ReLU; undefined: none
  at::Tensor forward(const at::Tensor& x, const at::Tensor& residual, bool relu) const;

  /// The gradient at the input of sum(g * forward(x)).
  ///
  /// @param g      [B, C_out, T', H', W']
  /// @param size   T, H, W of the input
  /// @param add_to what the result is added to; undefined: nothing. May be overwritten.
  at::Tensor input_gradient(const at::Tensor& g, const Triple& size,
                            const at::Tensor& add_to = {}) const;

  /// Whether gradient_and_scores() costs little more than the gradient alone: in a network's first
  /// layer.
  bool scores_with_gradient() const;
  struct GradientAndScores {
    at::Tensor gradient;  ///< as input_gradient() gives it
    at::Tensor scores;    ///< [B, C_out, C_in/groups]: sum over taps of weight times its gradient
  };
  /// @param x      the input of forward()
  /// @param wanted kernels whose scores are needed, for those of others may be 0; empty: all
  GradientAndScores gradient_and_scores(const at::Tensor& g, const at::Tensor& x,
                                        const at::Tensor& add_to = {},
                                        const KernelMasks& wanted = {}) const;

  const Conv3d& op() const { return op_; }
  const at::Tensor& weight() const { return weight_; }
  const at::Tensor& bias() const { return bias_; }

  /// The same convolution without a bias, its weights replaced.
  std::shared_ptr<const Convolution> with_weight(at::Tensor weight) const;

 private:
  enum class Use { kForward, kFlipped, kStem, kTransposed };
  at::Tensor packed(Use use, const at::Tensor& x, const Triple& output_padding) const;
  /// The input with the part of the padding that differs between the ends of an axis.
  at::Tensor padded(const at::Tensor& x) const;
  at::Tensor scores(const at::Tensor& g, const at::Tensor& x) const;
  at::Tensor symmetric_input_gradient(const at::Tensor& g, const Triple& size,
                                      const at::Tensor& add_to) const;

  Conv3d op_;
  Triple padding_{};       ///< the part of the padding that both ends of an axis share
  Padding extra_padding_;  ///< the rest, put around the input explicitly
  at::Tensor weight_, bias_;
  bool fused_;
  mutable std::mutex packing_;
  mutable std::map<std::pair<Use, std::vector<std::int64_t>>, at::Tensor> packed_;
};

}  // namespace cfp
