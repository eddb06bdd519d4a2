#include "stages/network/convolution.h"

#include <algorithm>
#include <array>
#include <optional>

#include <ATen/TensorOperators.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/conv3d.h>
#include <ATen/ops/convolution_backward.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/linspace.h>
#include <ATen/ops/stack.h>
#include <c10/core/InferenceMode.h>

namespace cfp {
namespace {

using OptionalTensor = std::optional<at::Tensor>;
using Longs = std::array<std::int64_t, 3>;
constexpr Longs kOnes{1, 1, 1};

Longs longs(const Triple& t) { return {t[0], t[1], t[2]}; }

OptionalTensor optional(const at::Tensor& t) {
  return t.defined() ? OptionalTensor(t) : std::nullopt;
}

/// LibTorch's fused oneDNN operators, looked up by name.
struct FusedOperators {
  using Scalars = c10::List<std::optional<at::Scalar>>;
  using Text = std::optional<std::string_view>;
  using Pack = at::Tensor(const at::Tensor&, at::IntArrayRef, at::IntArrayRef, at::IntArrayRef,
                          std::int64_t, at::OptionalIntArrayRef);
  using PackTransposed = at::Tensor(const at::Tensor&, at::IntArrayRef, at::IntArrayRef,
                                    at::IntArrayRef, at::IntArrayRef, std::int64_t,
                                    at::OptionalIntArrayRef);
  using Unary = at::Tensor(const at::Tensor&, const at::Tensor&, const OptionalTensor&,
                           at::IntArrayRef, at::IntArrayRef, at::IntArrayRef, std::int64_t,
                           std::string_view, Scalars, Text);
  using Binary = at::Tensor(const at::Tensor&, const at::Tensor&, const at::Tensor&,
                            const OptionalTensor&, at::IntArrayRef, at::IntArrayRef,
                            at::IntArrayRef, std::int64_t, std::string_view,
                            std::optional<at::Scalar>, Text, Scalars, Text);
  using Transposed = at::Tensor(const at::Tensor&, const at::Tensor&, const OptionalTensor&,
                                at::IntArrayRef, at::IntArrayRef, at::IntArrayRef, at::IntArrayRef,
                                std::int64_t, std::string_view, Scalars, Text);

  c10::TypedOperatorHandle<Pack> pack;
  c10::TypedOperatorHandle<PackTransposed> pack_transposed;
  c10::TypedOperatorHandle<Unary> unary;
  c10::TypedOperatorHandle<Binary> binary;
  c10::TypedOperatorHandle<Transposed> transposed;
};

template <class Signature>
c10::TypedOperatorHandle<Signature> look_up(const char* name, const char* overload = "") {
  return c10::Dispatcher::singleton().findSchemaOrThrow(name, overload).typed<Signature>();
}

std::optional<FusedOperators> find_operators() {
  try {
    return FusedOperators{
        look_up<FusedOperators::Pack>("mkldnn::_reorder_convolution_weight"),
        look_up<FusedOperators::PackTransposed>("mkldnn::_reorder_convolution_transpose_weight"),
        look_up<FusedOperators::Unary>("mkldnn::_convolution_pointwise"),
        look_up<FusedOperators::Binary>("mkldnn::_convolution_pointwise", "binary"),
        look_up<FusedOperators::Transposed>("mkldnn::_convolution_transpose_pointwise")};
  } catch (const c10::Error&) {
    return std::nullopt;  // another LibTorch, or one without oneDNN
  }
}

const std::optional<FusedOperators>& operators() {
  static const std::optional<FusedOperators> found = find_operators();
  return found;
}

/// Compares both ways of computing a small strided convolution with addition, and its gradient.
bool fused_agree_with_plain() {
  if (!operators()) return false;
  const c10::InferenceMode guard;
  Conv3d op{.in_channels = 8,
            .out_channels = 6,
            .kernel = {3, 3, 3},
            .stride = {1, 2, 2},
            .padding = {{1, 1, 1}, {1, 1, 1}}};
  const auto ramp = [](std::vector<std::int64_t> shape) {
    std::int64_t n = 1;
    for (const std::int64_t d : shape) n *= d;
    return at::linspace(-1, 1, n, at::kFloat).mul_(37).sin_().view(shape);
  };
  const at::Tensor weight = ramp({6, 8, 3, 3, 3});
  const at::Tensor bias = ramp({6});
  const at::Tensor x = ramp({1, 8, 3, 7, 8}).contiguous(at::MemoryFormat::ChannelsLast3d);
  const at::Tensor residual = ramp({1, 6, 3, 4, 4}).contiguous(at::MemoryFormat::ChannelsLast3d);
  // Sums of up to 216 products of size 1 in another order: some 1e-6 of the largest.
  const auto close = [](const at::Tensor& a, const at::Tensor& b) {
    return (a - b).abs().max().item<double>() < 1e-5 * b.abs().max().item<double>();
  };
  try {
    for (const int stride : {1, 2}) {
      op.stride = {1, stride, stride};
      const at::Tensor added = stride == 2 ? residual : at::Tensor();
      const Convolution fused(op, weight, bias, true);
      const Convolution plain(op, weight, bias, false);
      const at::Tensor expected =
          plain.forward(x, added, true).contiguous(at::MemoryFormat::ChannelsLast3d);
      if (!close(fused.forward(x, added, true), expected)) return false;
      if (!close(fused.input_gradient(expected, {3, 7, 8}, x),
                 plain.input_gradient(expected, {3, 7, 8}, x))) {
        return false;
      }
    }
    return true;
  } catch (const c10::Error&) {
    return false;
  }
}

/// Weights of the convolution that is the gradient of a convolution of stride 1.
at::Tensor flipped(const at::Tensor& weight, std::int64_t groups) {
  const std::int64_t out = weight.size(0), in = weight.size(1);
  return weight.view({groups, out / groups, in, weight.size(2), weight.size(3), weight.size(4)})
      .transpose(1, 2)
      .reshape({groups * in, out / groups, weight.size(2), weight.size(3), weight.size(4)})
      .flip({2, 3, 4})
      .contiguous();
}

std::array<std::int64_t, 6> pad_sizes(const Padding& p) {
  return {p.before[2], p.after[2], p.before[1], p.after[1], p.before[0], p.after[0]};
}

}  // namespace

bool fused_convolutions_available() {
  static const bool available = fused_agree_with_plain();
  return available;
}

Convolution::Convolution(const Conv3d& op, at::Tensor weight, at::Tensor bias, bool fused)
    : op_(op), weight_(std::move(weight)), bias_(std::move(bias)), fused_(fused) {
  for (int axis = 0; axis < 3; ++axis) {
    padding_[axis] = std::min(op.padding.before[axis], op.padding.after[axis]);
    extra_padding_.before[axis] = op.padding.before[axis] - padding_[axis];
    extra_padding_.after[axis] = op.padding.after[axis] - padding_[axis];
  }
}

std::shared_ptr<const Convolution> Convolution::with_weight(at::Tensor weight) const {
  return std::make_shared<const Convolution>(op_, std::move(weight), at::Tensor(), fused_);
}

at::Tensor Convolution::packed(Use use, const at::Tensor& x, const Triple& output_padding) const {
  std::vector<std::int64_t> shape = x.sizes().vec();
  const std::lock_guard lock(packing_);
  at::Tensor& slot = packed_[{use, shape}];
  if (slot.defined()) return slot;
  const Longs pad = longs(padding_), stride = longs(op_.stride), dilation = longs(op_.dilation);
  switch (use) {
    case Use::kForward:
      slot = operators()->pack.call(weight_, pad, stride, dilation, op_.groups, shape);
      break;
    case Use::kFlipped: {
      Longs flipped_pad;
      for (int a = 0; a < 3; ++a) flipped_pad[a] = dilation[a] * (op_.kernel[a] - 1) - pad[a];
      slot = operators()->pack.call(flipped(weight_, op_.groups), flipped_pad, kOnes, dilation,
                                    op_.groups, shape);
      break;
    }
    case Use::kStem:
      slot = stem_runs(op_, weight_);
      break;
    case Use::kTransposed:
      slot = operators()->pack_transposed.call(weight_, pad, longs(output_padding), stride,
                                               dilation, op_.groups, shape);
      break;
  }
  return slot;
}

at::Tensor Convolution::padded(const at::Tensor& x) const {
  if (extra_padding_ == Padding{}) return x;
  return at::constant_pad_nd(x, pad_sizes(extra_padding_), 0).contiguous(x.suggest_memory_format());
}

at::Tensor Convolution::forward(const at::Tensor& x, const at::Tensor& residual, bool relu) const {
  const at::Tensor in = padded(x);
  const Longs pad = longs(padding_), stride = longs(op_.stride), dilation = longs(op_.dilation);
  if (fused_) {
    const FusedOperators& fused = *operators();
    const at::Tensor weight = packed(Use::kForward, in, {});
    if (!residual.defined()) {
      return fused.unary.call(in, weight, optional(bias_), pad, stride, dilation, op_.groups,
                              relu ? "relu" : "none", FusedOperators::Scalars(), "");
    }
    return fused.binary.call(in, residual, weight, optional(bias_), pad, stride, dilation,
                             op_.groups, "add", at::Scalar(1.0),
                             relu ? FusedOperators::Text("relu") : std::nullopt,
                             FusedOperators::Scalars(), "");
  }
  at::Tensor y = at::conv3d(in, weight_, optional(bias_), stride, pad, dilation, op_.groups);
  if (residual.defined()) y = y.add_(residual);
  return relu ? y.clamp_min_(0) : y;
}

at::Tensor Convolution::input_gradient(const at::Tensor& g, const Triple& size,
                                       const at::Tensor& add_to) const {
  if (scores_with_gradient()) {
    const at::Tensor result = stem_gradients(op_, packed(Use::kStem, g, {}), g, size).input;
    return add_to.defined() ? result + add_to : result;
  }
  if (extra_padding_ == Padding{}) return symmetric_input_gradient(g, size, add_to);
  Triple padded{};
  for (int a = 0; a < 3; ++a) {
    padded[a] = size[a] + extra_padding_.before[a] + extra_padding_.after[a];
  }
  at::Tensor result = symmetric_input_gradient(g, padded, {});
  for (int a = 0; a < 3; ++a) result = result.narrow(a + 2, extra_padding_.before[a], size[a]);
  if (add_to.defined()) result = result + add_to;
  return result.contiguous(g.suggest_memory_format());
}

bool Convolution::scores_with_gradient() const { return fused_ && is_stem(op_); }

Convolution::GradientAndScores Convolution::gradient_and_scores(const at::Tensor& g,
                                                                const at::Tensor& x,
                                                                const at::Tensor& add_to,
                                                                const KernelMasks& wanted) const {
  const Triple size{static_cast<int>(x.size(2)), static_cast<int>(x.size(3)),
                    static_cast<int>(x.size(4))};
  if (!scores_with_gradient()) return {input_gradient(g, size, add_to), scores(g, x)};
  const StemGradients both = stem_gradients(op_, packed(Use::kStem, g, {}), g, size, x, wanted);
  return {add_to.defined() ? both.input + add_to : both.input, both.scores};
}

at::Tensor Convolution::scores(const at::Tensor& g, const at::Tensor& x) const {
  const at::Tensor in = padded(x);
  std::vector<at::Tensor> clips;
  for (std::int64_t b = 0; b < g.size(0); ++b) {
    const at::Tensor gradient = std::get<1>(
        at::convolution_backward(g.narrow(0, b, 1), in.narrow(0, b, 1), weight_, std::nullopt,
                                 longs(op_.stride), longs(padding_), longs(op_.dilation), false,
                                 Longs{0, 0, 0}, op_.groups, {false, true, false}));
    clips.push_back((gradient * weight_).flatten(2).sum(2));
  }
  return at::stack(clips);
}

at::Tensor Convolution::symmetric_input_gradient(const at::Tensor& g, const Triple& size,
                                                 const at::Tensor& add_to) const {
  const Longs pad = longs(padding_), stride = longs(op_.stride), dilation = longs(op_.dilation);
  Longs flipped_pad;
  Triple left_over{};  // input positions at the end that no window reaches
  for (int a = 0; a < 3; ++a) {
    const std::int64_t span = dilation[a] * (op_.kernel[a] - 1);
    flipped_pad[a] = span - pad[a];
    left_over[a] = static_cast<int>((size[a] + 2 * pad[a] - span - 1) % stride[a]);
  }
  const bool unit_stride = stride == kOnes && std::ranges::min(flipped_pad) >= 0;
  if (fused_ && unit_stride) {
    const FusedOperators& fused = *operators();
    const at::Tensor weight = packed(Use::kFlipped, g, {});
    if (add_to.defined()) {
      return fused.binary.call(g, add_to, weight, std::nullopt, flipped_pad, kOnes, dilation,
                               op_.groups, "add", at::Scalar(1.0), std::nullopt,
                               FusedOperators::Scalars(), "");
    }
    return fused.unary.call(g, weight, std::nullopt, flipped_pad, kOnes, dilation, op_.groups,
                            "none", FusedOperators::Scalars(), "");
  }
  at::Tensor result;
  if (fused_) {
    result = operators()->transposed.call(g, packed(Use::kTransposed, g, left_over), std::nullopt,
                                          pad, longs(left_over), stride, dilation, op_.groups,
                                          "none", FusedOperators::Scalars(), "");
  } else {
    // Only the shape of the input matters for its own gradient.
    const at::Tensor input = at::empty({g.size(0), op_.in_channels, size[0], size[1], size[2]},
                                       g.options(), g.suggest_memory_format());
    result = std::get<0>(at::convolution_backward(g, input, weight_, std::nullopt, stride, pad,
                                                  dilation, false, Longs{0, 0, 0}, op_.groups,
                                                  {true, false, false}));
  }
  return add_to.defined() ? result.add_(add_to) : result;
}

}  // namespace cfp
