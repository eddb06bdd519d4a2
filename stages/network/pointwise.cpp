#include "stages/network/pointwise.h"

#include <cmath>
#include <numbers>
#include <stdexcept>

#include <ATen/TensorOperators.h>
#include <ATen/ops/clamp.h>
#include <ATen/ops/elu.h>
#include <ATen/ops/erf.h>
#include <ATen/ops/full_like.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/hardsigmoid.h>
#include <ATen/ops/hardswish.h>
#include <ATen/ops/leaky_relu.h>
#include <ATen/ops/mish.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/sigmoid.h>
#include <ATen/ops/silu.h>
#include <ATen/ops/softplus.h>
#include <ATen/ops/tanh.h>
#include <ATen/ops/where.h>
#include <fmt/format.h>

#include "stages/core/errors.h"

namespace cfp {
namespace {

double slope_at_zero(const Pointwise& op) {
  switch (op.function) {
    case Function::kTanh:
      return 1;
    case Function::kErf:
      return 2 * std::numbers::inv_sqrtpi;
    case Function::kMish:
      return std::tanh(std::numbers::ln2);
    case Function::kElu:
      return op.first * op.second * op.third;
    case Function::kLeakyRelu:
      return op.first;
    case Function::kClamp:
      return op.first < 0 && op.second > 0 ? 1 : 0;
    default:
      return 0.5;  // x times a sigmoid, or something like it
  }
}

}  // namespace

at::Tensor pointwise(const at::Tensor& x, const Pointwise& op) {
  switch (op.function) {
    case Function::kSigmoid:
      return at::sigmoid(x);
    case Function::kHardSigmoid:
      return at::hardsigmoid(x);
    case Function::kTanh:
      return at::tanh(x);
    case Function::kErf:
      return at::erf(x);
    case Function::kSilu:
      return at::silu(x);
    case Function::kHardSwish:
      return at::hardswish(x);
    case Function::kGelu:
      return at::gelu(x, "none");
    case Function::kGeluTanh:
      return at::gelu(x, "tanh");
    case Function::kMish:
      return at::mish(x);
    case Function::kSoftplus:
      return at::softplus(x, op.first, op.second);
    case Function::kElu:
      return at::elu(x, op.first, op.second, op.third);
    case Function::kLeakyRelu:
      return at::leaky_relu(x, op.first);
    case Function::kClamp:
      return at::clamp(x, op.first, op.second);
  }
  throw std::logic_error("Function out of range");
}

at::Tensor pointwise_factor(const at::Tensor& x, const at::Tensor& y, const Pointwise& op) {
  if (!keeps_zero(op)) {
    throw SystemError(fmt::format("cannot lead anything back through {}: its value at 0 is not 0",
                                  function_name(op.function)));
  }
  const at::Tensor at_zero = at::full_like(x, slope_at_zero(op));
  if (op.function == Function::kSilu) return at::sigmoid(x);
  if (op.function == Function::kLeakyRelu) return at::where(x > 0, at::ones_like(x), at_zero);
  return at::where(x == 0, at_zero, y / x);
}

}  // namespace cfp
