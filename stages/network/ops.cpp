#include "stages/network/ops.h"

#include <stdexcept>

#include "stages/network/overloaded.h"

namespace cfp {

std::string_view op_name(const Op& op) {
  return std::visit(
      Overloaded{[](const Input&) -> std::string_view { return "Input"; },
                 [](const Conv3d&) -> std::string_view { return "Conv3d"; },
                 [](const BatchNorm3d&) -> std::string_view { return "BatchNorm3d"; },
                 [](const Relu&) -> std::string_view { return "Relu"; },
                 [](const MaxPool3d&) -> std::string_view { return "MaxPool3d"; },
                 [](const AvgPool3d&) -> std::string_view { return "AvgPool3d"; },
                 [](const GlobalAverage&) -> std::string_view { return "GlobalAverage"; },
                 [](const Add&) -> std::string_view { return "Add"; },
                 [](const Concat&) -> std::string_view { return "Concat"; },
                 [](const Linear&) -> std::string_view { return "Linear"; },
                 [](const AdaptiveAverage&) -> std::string_view { return "AdaptiveAverage"; },
                 [](const SelectChannels&) -> std::string_view { return "SelectChannels"; },
                 [](const SelectPositions&) -> std::string_view { return "SelectPositions"; },
                 [](const Pad&) -> std::string_view { return "Pad"; },
                 [](const Spread&) -> std::string_view { return "Spread"; },
                 [](const Pointwise&) -> std::string_view { return "Pointwise"; },
                 [](const Multiply&) -> std::string_view { return "Multiply"; }},
      op);
}

std::string_view function_name(Function function) {
  switch (function) {
    case Function::kSigmoid:
      return "sigmoid";
    case Function::kHardSigmoid:
      return "hardsigmoid";
    case Function::kTanh:
      return "tanh";
    case Function::kErf:
      return "erf";
    case Function::kSilu:
      return "silu";
    case Function::kHardSwish:
      return "hardswish";
    case Function::kGelu:
      return "gelu";
    case Function::kGeluTanh:
      return "gelu_tanh";
    case Function::kMish:
      return "mish";
    case Function::kSoftplus:
      return "softplus";
    case Function::kElu:
      return "elu";
    case Function::kLeakyRelu:
      return "leaky_relu";
    case Function::kClamp:
      return "clamp";
  }
  throw std::logic_error("Function out of range");
}

bool keeps_zero(const Pointwise& op) {
  switch (op.function) {
    case Function::kSigmoid:
    case Function::kHardSigmoid:
    case Function::kSoftplus:
      return false;
    case Function::kClamp:
      return op.first <= 0 && op.second >= 0;
    default:
      return true;
  }
}

bool is_bounded(const Pointwise& op) {
  switch (op.function) {
    case Function::kSigmoid:
    case Function::kHardSigmoid:
    case Function::kTanh:
    case Function::kErf:
    case Function::kClamp:
      return true;
    default:
      return false;
  }
}

}  // namespace cfp
