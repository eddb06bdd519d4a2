// What a node of a network can do.
//
// An operation holds numbers only; its tensors stand in the network's weights under the node's name
// (tensor_specs()). Each has a rule for shapes (graph_shapes.cpp), checks (graph_checks.cpp),
// forward and gradient (executor.cpp), positive relevance (excitation_walk.cpp) and channel routing
// (stages/pyramid/routing.cpp); std::visit makes the compiler ask for all of them.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace cfp {

/// A triple over time, height and width.
using Triple = std::array<int, 3>;

/// Zeros put around a tensor, which may differ between the two ends of an axis.
struct Padding {
  Triple before{0, 0, 0};
  Triple after{0, 0, 0};

  bool symmetric() const { return before == after; }
  auto operator<=>(const Padding&) const = default;
};

/// The clip: [B, channels, T, H, W].
struct Input {
  int channels = 3;
  bool operator==(const Input&) const = default;
};

/// Convolution; the tensors are `<name>.weight` [out, in/groups, kT, kH, kW] and `<name>.bias`
/// [out].
///
/// A pass may fuse what follows: with a second input the result is conv(x) + second, `addition` is
/// the name that the sum had as a node of its own, and `relu` is applied last.
struct Conv3d {
  int in_channels = 0, out_channels = 0;
  Triple kernel{1, 1, 1}, stride{1, 1, 1}, dilation{1, 1, 1};
  Padding padding;
  int groups = 1;
  bool bias = false;
  std::string addition;
  bool relu = false;
  bool operator==(const Conv3d&) const = default;
};

/// Normalisation in evaluation mode; tensors `.weight .bias .running_mean .running_var`, all [C].
struct BatchNorm3d {
  int channels = 0;
  double eps = 1e-5;
  bool relu = false;  ///< set by a pass
  bool operator==(const BatchNorm3d&) const = default;
};

struct Relu {
  bool operator==(const Relu&) const = default;
};

/// Maximum over windows. Positions outside the tensor never win, unless `zero_padding`.
struct MaxPool3d {
  Triple kernel{1, 1, 1}, stride{1, 1, 1};
  Padding padding;
  /// A last window that reaches over the end counts as long as it starts inside the tensor, or,
  /// with `zero_padding`, inside the padded tensor.
  bool ceil_mode = false;
  /// The padding takes part in the maximum as zeros (TensorFlow's SAME).
  bool zero_padding = false;
  bool operator==(const MaxPool3d&) const = default;
};

/// Mean over windows.
struct AvgPool3d {
  Triple kernel{1, 1, 1}, stride{1, 1, 1};
  Triple padding{0, 0, 0};    ///< zeros at both ends of an axis, at most half the kernel
  bool ceil_mode = false;     ///< as in MaxPool3d
  bool count_padding = true;  ///< whether the padding's zeros count as members of a window
  bool operator==(const AvgPool3d&) const = default;
};

/// Mean over windows chosen so that `size` of them cover an axis, of sizes that may differ by one.
struct AdaptiveAverage {
  Triple size{1, 1, 1};
  bool operator==(const AdaptiveAverage&) const = default;
};

/// Mean over T, H and W: [B, C, T, H, W] -> [B, C].
struct GlobalAverage {
  bool operator==(const GlobalAverage&) const = default;
};

/// Sum of two tensors of one shape.
struct Add {
  bool relu = false;  ///< set by a pass
  bool operator==(const Add&) const = default;
};

/// Concatenation over channels.
struct Concat {
  bool operator==(const Concat&) const = default;
};

/// Channel j of the result is channel source[j]: slices, chunks, shuffles, flips.
struct SelectChannels {
  std::vector<int> source;
  bool operator==(const SelectChannels&) const = default;
};

/// Position i of the result along one axis is position source[i]: every n-th frame, crops, flips,
/// enlargement by repetition.
struct SelectPositions {
  int axis = 0;  ///< 0, 1, 2: T, H, W
  std::vector<int> source;
  bool operator==(const SelectPositions&) const = default;
};

/// Zeros around a tensor.
struct Pad {
  Padding padding;
  bool operator==(const Pad&) const = default;
};

/// step - 1 zeros between neighbours: what a transposed convolution does before it convolves.
struct Spread {
  Triple step{1, 1, 1};
  bool operator==(const Spread&) const = default;
};

/// A function of one number.
enum class Function : std::uint8_t {
  kSigmoid,
  kHardSigmoid,
  kTanh,
  kErf,
  kSilu,
  kHardSwish,
  kGelu,
  kGeluTanh,
  kMish,
  kSoftplus,   ///< log(1 + exp(first * x)) / first
  kElu,        ///< x > 0: second * x, else second * first * (exp(third * x) - 1)
  kLeakyRelu,  ///< x > 0: x, else first * x
  kClamp,      ///< between first and second
};

/// A function of each number by itself.
///
/// One with f(0) = 0 is x times f(x) / x, and that factor is held constant on the way back; for a
/// leaky ReLU it is the slope. One with f(0) != 0 has no such factor and can only lead to a gate.
struct Pointwise {
  Function function = Function::kSigmoid;
  double first = 0, second = 0, third = 0;
  bool operator==(const Pointwise&) const = default;
};

/// The first input times the second, the gate, which is held constant on the way back. The gate has
/// as many channels or 1, and on each axis as many positions or 1.
struct Multiply {
  bool operator==(const Multiply&) const = default;
};

/// Classifier: [B, in] -> [B, out]; tensors `<name>.weight` [out, in] and `<name>.bias` [out].
struct Linear {
  int in_features = 0, out_features = 0;
  bool bias = true;
  bool operator==(const Linear&) const = default;
};

using Op = std::variant<Input, Conv3d, BatchNorm3d, Relu, MaxPool3d, AvgPool3d, GlobalAverage, Add,
                        Concat, Linear, AdaptiveAverage, SelectChannels, SelectPositions, Pad,
                        Spread, Pointwise, Multiply>;

/// @return the operation's name as error messages and `cfp inspect` print it: `Conv3d`, …
std::string_view op_name(const Op& op);

/// @return the function's name: `silu`, …
std::string_view function_name(Function function);

/// @return whether f(0) = 0, so that a node of it can stand between a kernel and the class
bool keeps_zero(const Pointwise& op);

/// @return whether |f| has a bound: what makes an operand of a product its gate
bool is_bounded(const Pointwise& op);

}  // namespace cfp
