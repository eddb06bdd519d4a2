// The formula of the paper's released code, on plain numbers (docs/method.md, "published").
//
//   p_j = mean(W_ij) * mean(X_j)    q = p / sum p    n = (q - min q) / (max q - min q)
//
// A kernel keeps the channels with n_j >= theta. At the class layer only the weights count.
#pragma once

#include <span>
#include <vector>

namespace cfp {

/// n of one kernel.
///
/// @param weight_means mean over taps of the kernel's weights, by channel of its group
/// @param value_means  mean over positions of those channels, of the same length
/// @return n; NaN where nothing can be decided: the sum of p is 0, or all q are equal
std::vector<double> published_scores(std::span<const float> weight_means,
                                     std::span<const float> value_means);

/// n of one class, normalised over the weights of all classes.
///
/// @param weights [classes][channels]
std::vector<double> published_class_scores(std::span<const float> weights, std::size_t channels,
                                           int class_index);

}  // namespace cfp
