// Positive relevance through the layers that read the network's input, whose values are signed but
// bounded: the z^B rule (Montavon et al., Pattern Recognition 2017).
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include <ATen/core/Tensor.h>

#include "stages/network/executor.h"

namespace cfp {

/// Lowest and highest value that each channel of the input can have.
struct InputBounds {
  std::vector<double> low, high;  ///< [C], in the units of the network's input
};

/// What the rule leads to the input.
struct BoundedRelevance {
  at::Tensor relevance;  ///< [B, C, T, H, W]
  at::Tensor share;      ///< s = R / z at the convolution's own output
  at::Tensor scores;     ///< [B, C', C]: what each kernel got from each channel; if asked for
};

/// The rule for one network on one device. What depends only on weights and bounds is made when
/// first needed and kept. Safe to use from several threads.
class BoundedInput {
 public:
  BoundedInput(InputBounds bounds) : bounds_(std::move(bounds)) {}

  /// R_in = (x - low) * (s * W+) + (x - high) * (s * W-) with s = R / z, transposed convolutions,
  /// and z = conv(x, W) - conv(low, W+) - conv(high, W-).
  ///
  /// @param id        a convolution that reads the input
  /// @param relevance R at the convolution's own output [B, C', T', H', W']
  /// @param own       that output, its bias included, wherever R > 0; undefined: compute it
  /// @param x         the network's input [B, C, T, H, W]
  /// @param wanted    by clip: the kernels whose scores are wanted; empty: no scores
  BoundedRelevance lead_back(const Executor& executor, NodeId id, const at::Tensor& relevance,
                             const at::Tensor& own, const at::Tensor& x,
                             const KernelMasks& wanted) const;

 private:
  struct Layer {
    std::shared_ptr<const Convolution> halves;  ///< W+ and W- side by side, group by group
    std::map<Triple, at::Tensor> least;         ///< by clip size: conv(low, W+) + conv(high, W-)
  };
  at::Tensor bound(const std::vector<double>& values, const at::Tensor& like) const;
  std::pair<std::shared_ptr<const Convolution>, at::Tensor> layer(const Executor& executor,
                                                                  NodeId id,
                                                                  const at::Tensor& x) const;

  InputBounds bounds_;
  mutable std::mutex mutex_;
  mutable std::map<NodeId, Layer> layers_;
};

}  // namespace cfp
