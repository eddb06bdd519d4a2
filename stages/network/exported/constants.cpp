#include "stages/network/exported/constants.h"

#include <algorithm>
#include <numeric>

#include "stages/network/checkpoint/checkpoint.h"

namespace cfp {
namespace {

using Sizes = std::vector<std::int64_t>;

/// @return the number of elements, or nothing where there are none, or too many
std::optional<std::int64_t> count(const Sizes& shape) {
  std::int64_t n = 1;
  for (const std::int64_t size : shape) {
    if (size < 1 || size > kMostComputed || (n *= size) > kMostComputed) return std::nullopt;
  }
  return n;
}

/// Reads a tensor in another order.
std::optional<ConstantTensor> gathered(const ConstantTensor& tensor, Sizes shape,
                                       const Sizes& stride) {
  const auto n = count(shape);
  if (!n) return std::nullopt;
  std::vector<float> values(static_cast<std::size_t>(*n));
  Sizes at(shape.size(), 0);
  std::int64_t offset = 0;
  for (float& value : values) {
    value = tensor.data.get()[offset];
    for (std::size_t axis = shape.size(); axis-- > 0;) {
      offset += stride[axis];
      if (++at[axis] < shape[axis]) break;
      offset -= shape[axis] * stride[axis];
      at[axis] = 0;
    }
  }
  return computed_constant(std::move(shape), std::move(values));
}

std::optional<Sizes> broadcast(const Sizes& a, const Sizes& b) {
  Sizes result(std::max(a.size(), b.size()), 1);
  for (std::size_t i = 0; i < result.size(); ++i) {
    const std::int64_t x = i < a.size() ? a[a.size() - 1 - i] : 1;
    const std::int64_t y = i < b.size() ? b[b.size() - 1 - i] : 1;
    if (x != y && x != 1 && y != 1) return std::nullopt;
    result[result.size() - 1 - i] = x == 1 ? y : x;
  }
  return result;
}

}  // namespace

ConstantTensor computed_constant(std::vector<std::int64_t> shape, std::vector<float> values) {
  const auto owner = std::make_shared<const std::vector<float>>(std::move(values));
  return {{}, std::move(shape), std::shared_ptr<const float>(owner, owner->data())};
}

std::optional<ConstantTensor> constant_view(const ConstantTensor& tensor,
                                            const std::vector<std::int64_t>& shape) {
  const auto n = count(shape);
  if (!n || *n != tensor.elements()) return std::nullopt;
  return ConstantTensor{tensor.name, shape, tensor.data};
}

std::optional<ConstantTensor> constant_permuted(const ConstantTensor& tensor,
                                                const std::vector<std::int64_t>& order) {
  const Sizes from = contiguous_stride(tensor.shape);
  Sizes shape, stride;
  for (const std::int64_t axis : order) {
    shape.push_back(tensor.shape.at(static_cast<std::size_t>(axis)));
    stride.push_back(from.at(static_cast<std::size_t>(axis)));
  }
  auto result = gathered(tensor, std::move(shape), stride);
  if (result) result->name = tensor.name;
  return result;
}

std::optional<ConstantTensor> constant_expanded(const ConstantTensor& tensor,
                                                const std::vector<std::int64_t>& shape) {
  if (shape.size() < tensor.shape.size()) return std::nullopt;
  const std::size_t added = shape.size() - tensor.shape.size();
  const Sizes from = contiguous_stride(tensor.shape);
  Sizes to = shape, stride(shape.size(), 0);
  for (std::size_t axis = 0; axis < shape.size(); ++axis) {
    const std::int64_t size = axis < added ? 1 : tensor.shape[axis - added];
    if (to[axis] == -1) to[axis] = size;
    if (size != 1 && size != to[axis]) return std::nullopt;
    if (axis >= added && size != 1) stride[axis] = from[axis - added];
  }
  auto result = gathered(tensor, std::move(to), stride);
  if (result) result->name = tensor.name;
  return result;
}

std::optional<ConstantTensor> constant_selected(const ConstantTensor& tensor, std::size_t axis,
                                                const std::vector<std::int64_t>& positions) {
  Sizes shape = tensor.shape;
  shape.at(axis) = static_cast<std::int64_t>(positions.size());
  const auto n = count(shape);
  if (!n || tensor.elements() == 0) return std::nullopt;
  std::int64_t inner = 1;
  for (std::size_t i = axis + 1; i < shape.size(); ++i) inner *= shape[i];
  const std::int64_t outer = tensor.elements() / inner / tensor.shape[axis];
  std::vector<float> values;
  values.reserve(static_cast<std::size_t>(*n));
  for (std::int64_t o = 0; o < outer; ++o) {
    for (const std::int64_t position : positions) {
      const float* from = tensor.data.get() + (o * tensor.shape[axis] + position) * inner;
      values.insert(values.end(), from, from + inner);
    }
  }
  return computed_constant(std::move(shape), std::move(values));
}

std::optional<ConstantTensor> constant_combined(const ConstantTensor& first,
                                                const ConstantTensor& second,
                                                const std::function<double(double, double)>& f) {
  const auto shape = broadcast(first.shape, second.shape);
  if (!shape) return std::nullopt;
  const auto a = constant_expanded(first, *shape), b = constant_expanded(second, *shape);
  if (!a || !b) return std::nullopt;
  std::vector<float> values(static_cast<std::size_t>(a->elements()));
  for (std::size_t i = 0; i < values.size(); ++i) {
    values[i] = static_cast<float>(f(a->data.get()[i], b->data.get()[i]));
  }
  return computed_constant(*shape, std::move(values));
}

}  // namespace cfp
