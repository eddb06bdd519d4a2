// Functions of each number by itself, and what they multiply it by.
#pragma once

#include <ATen/core/Tensor.h>

#include "stages/network/ops.h"

namespace cfp {

/// @return f(x), element by element
at::Tensor pointwise(const at::Tensor& x, const Pointwise& op);

/// The factor f(x) / x that is held constant on the way back; where x = 0 the slope of f there,
/// from the left where that is another one than from the right.
///
/// @param y f(x)
/// @throws SystemError f(0) is not 0: there is no such factor
at::Tensor pointwise_factor(const at::Tensor& x, const at::Tensor& y, const Pointwise& op);

}  // namespace cfp
