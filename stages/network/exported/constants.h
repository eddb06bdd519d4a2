// Computing with the constants of an exported graph while it is read: views of weights, means to
// subtract, indices of frames. All row-major float32; sizes are bounded.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "stages/network/exported/program.h"

namespace cfp {

/// The most elements that a computed constant may have.
inline constexpr std::int64_t kMostComputed = std::int64_t{1} << 28;

ConstantTensor computed_constant(std::vector<std::int64_t> shape, std::vector<float> values);

/// The functions below return nothing where the shapes do not allow it.

std::optional<ConstantTensor> constant_view(const ConstantTensor& tensor,
                                            const std::vector<std::int64_t>& shape);
/// @param order a permutation of the axes
std::optional<ConstantTensor> constant_permuted(const ConstantTensor& tensor,
                                                const std::vector<std::int64_t>& order);
/// Repeats axes of size 1, and adds axes in front.
std::optional<ConstantTensor> constant_expanded(const ConstantTensor& tensor,
                                                const std::vector<std::int64_t>& shape);
/// @param positions of axis `axis` that are left, in order
std::optional<ConstantTensor> constant_selected(const ConstantTensor& tensor, std::size_t axis,
                                                const std::vector<std::int64_t>& positions);
/// Element by element, shapes broadcast.
std::optional<ConstantTensor> constant_combined(const ConstantTensor& first,
                                                const ConstantTensor& second,
                                                const std::function<double(double, double)>& f);

}  // namespace cfp
