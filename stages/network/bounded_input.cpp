#include "stages/network/bounded_input.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>

#include "stages/network/tensor_kernels.h"

namespace cfp {
namespace {

Triple size_of(const at::Tensor& x) {
  return {static_cast<int>(x.size(2)), static_cast<int>(x.size(3)), static_cast<int>(x.size(4))};
}

/// Two tensors [B, C, T, H, W] as the input of the halves: group by group, first and second.
at::Tensor side_by_side(const at::Tensor& first, const at::Tensor& second, std::int64_t groups) {
  const auto grouped = [&](const at::Tensor& t) { return t.unflatten(1, {groups, -1}); };
  return at::cat({grouped(first), grouped(second)}, 2).flatten(1, 2);
}

/// What side_by_side() put together: index 0 or 1.
at::Tensor half(const at::Tensor& both, std::int64_t groups, std::int64_t index) {
  return both.unflatten(1, {groups, 2, -1}).select(2, index).flatten(1, 2);
}

/// Scores [B, C_out, C_in/groups] as [B, C_out, C_in], with zeros between groups.
at::Tensor over_all_channels(const at::Tensor& scores, std::int64_t groups) {
  if (groups == 1) return scores;
  const std::int64_t width = scores.size(2);
  const at::Tensor grouped = scores.unflatten(1, {groups, -1});
  at::Tensor all =
      at::zeros({scores.size(0), groups, grouped.size(2), groups * width}, scores.options());
  for (std::int64_t group = 0; group < groups; ++group) {
    all.select(1, group).narrow(2, group * width, width).copy_(grouped.select(1, group));
  }
  return all.flatten(1, 2);
}

Conv3d with_both_halves(Conv3d op) {
  op.in_channels *= 2;
  op.bias = false;
  op.relu = false;
  return op;
}

}  // namespace

at::Tensor BoundedInput::bound(const std::vector<double>& values, const at::Tensor& like) const {
  return at::tensor(values, at::kDouble).to(like.options()).view({1, -1, 1, 1, 1});
}

std::pair<std::shared_ptr<const Convolution>, at::Tensor> BoundedInput::layer(
    const Executor& executor, NodeId id, const at::Tensor& x) const {
  const std::lock_guard lock(mutex_);
  Layer& layer = layers_[id];
  const Convolution& conv = executor.layer(id);
  if (!layer.halves) {
    const at::Tensor both = at::cat({conv.weight().clamp_min(0), conv.weight().clamp_max(0)}, 1);
    layer.halves = std::make_shared<const Convolution>(with_both_halves(conv.op()), both,
                                                       at::Tensor(), executor.options().fused);
  }
  at::Tensor& least = layer.least[size_of(x)];
  if (!least.defined()) {
    const at::Tensor one = x.narrow(0, 0, 1);
    least = layer.halves->forward(
        executor.to_layout(side_by_side(bound(bounds_.low, x).expand_as(one),
                                        bound(bounds_.high, x).expand_as(one), conv.op().groups)),
        {}, false);
  }
  return {layer.halves, least};
}

BoundedRelevance BoundedInput::lead_back(const Executor& executor, NodeId id,
                                         const at::Tensor& relevance, const at::Tensor& own,
                                         const at::Tensor& x, const KernelMasks& wanted) const {
  const Convolution& conv = executor.layer(id);
  const std::int64_t groups = conv.op().groups;
  const auto [halves, least] = layer(executor, id, x);
  at::Tensor excess = least;
  if (conv.bias().defined()) excess = excess + conv.bias().view({1, -1, 1, 1, 1});
  const at::Tensor z = (own.defined() ? own : conv.forward(x, {}, false)) - excess;
  const at::Tensor above = x - bound(bounds_.low, x), under = x - bound(bounds_.high, x);
  BoundedRelevance result{.share = relevance_ratio(relevance, z)};
  at::Tensor both;
  if (!wanted.empty()) {
    auto found = halves->gradient_and_scores(
        result.share, executor.to_layout(side_by_side(above, under, groups)), {}, wanted);
    both = std::move(found.gradient);
    const std::int64_t width = found.scores.size(2) / 2;
    result.scores = over_all_channels(
        found.scores.narrow(2, 0, width) + found.scores.narrow(2, width, width), groups);
  } else {
    both = halves->input_gradient(result.share, size_of(x));
  }
  result.relevance =
      executor.to_layout(above * half(both, groups, 0) + under * half(both, groups, 1));
  return result;
}

}  // namespace cfp
