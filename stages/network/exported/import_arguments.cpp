// Arguments of calls, each of the type that is asked for or refused.
#include <algorithm>

#include <fmt/format.h>

#include "stages/network/checkpoint/bytes.h"
#include "stages/network/exported/importer.h"

namespace cfp {
namespace {

/// Longest kernel, stride, padding, …; as in graph_rules.h.
constexpr std::int64_t kLongestAxis = 1 << 16;

}  // namespace

const Argument* Importer::argument(const Call& call, std::string_view name) const {
  const auto found = call.arguments.find(name);
  if (found == call.arguments.end() || std::holds_alternative<std::monostate>(found->second)) {
    return nullptr;
  }
  return &found->second;
}

bool Importer::has(const Call& call, std::string_view name) const {
  return argument(call, name) != nullptr;
}

double Importer::number(const Call& call, std::string_view name, double otherwise) const {
  const Argument* given = argument(call, name);
  if (given == nullptr) return otherwise;
  if (const auto* real = std::get_if<double>(given)) return *real;
  if (const auto* integer = std::get_if<std::int64_t>(given)) return static_cast<double>(*integer);
  if (const auto* truth = std::get_if<bool>(given)) return *truth ? 1 : 0;
  refuse(call, fmt::format("its argument '{}' is no number", name));
}

std::int64_t Importer::integer(const Call& call, std::string_view name,
                               std::int64_t otherwise) const {
  const Argument* given = argument(call, name);
  if (given == nullptr) return otherwise;
  if (const auto* integer = std::get_if<std::int64_t>(given)) return *integer;
  refuse(call, fmt::format("its argument '{}' is no integer", name));
}

bool Importer::boolean(const Call& call, std::string_view name, bool otherwise) const {
  const Argument* given = argument(call, name);
  if (given == nullptr) return otherwise;
  if (const auto* truth = std::get_if<bool>(given)) return *truth;
  refuse(call, fmt::format("its argument '{}' is neither true nor false", name));
}

std::string Importer::word(const Call& call, std::string_view name,
                           std::string_view otherwise) const {
  const Argument* given = argument(call, name);
  if (given == nullptr) return std::string(otherwise);
  if (const auto* text = std::get_if<std::string>(given)) return *text;
  refuse(call, fmt::format("its argument '{}' is no text", name));
}

Importer::Sizes Importer::integers(const Call& call, std::string_view name,
                                   const Sizes& otherwise) const {
  const Argument* given = argument(call, name);
  if (given == nullptr) return otherwise;
  if (const auto* list = std::get_if<Sizes>(given)) return *list;
  if (const auto* integer = std::get_if<std::int64_t>(given)) return {*integer};
  refuse(call, fmt::format("its argument '{}' is no list of integers", name));
}

Importer::Sizes Importer::triple(const Call& call, std::string_view name, std::size_t rank,
                                 const Sizes& otherwise) const {
  Sizes given = integers(call, name, otherwise);
  if (given.empty()) given = otherwise;
  if (given.size() == 1) given.assign(rank, given.front());
  if (given.size() != rank) {
    refuse(call, fmt::format("its argument '{}' has {} numbers, {} belong there", name,
                             given.size(), rank));
  }
  for (const std::int64_t n : given) {
    if (n < 0 || n > kLongestAxis) {
      refuse(call,
             fmt::format("its argument '{}' holds {}, allowed are 0 to {}", name, n, kLongestAxis));
    }
  }
  return given;
}

const Importer::Value& Importer::value(const Call& call, const std::string& name) const {
  const auto found = values_.find(name);
  if (found == values_.end())
    refuse(call, fmt::format("reads '{}', which is not there", printable(name)));
  if (overwritten_.contains(name)) {
    refuse(call, fmt::format("reads '{}', which another call overwrote in place", printable(name)));
  }
  return found->second;
}

Importer::Value Importer::operand(const Call& call, std::string_view name) const {
  const Argument* given = argument(call, name);
  if (given == nullptr) refuse(call, fmt::format("its argument '{}' is missing", name));
  if (const auto* tensor = std::get_if<TensorName>(given)) return value(call, tensor->name);
  return computed_constant({}, {static_cast<float>(number(call, name, 0))});
}

Activation Importer::activation(const Call& call, std::string_view name) const {
  Value given = operand(call, name);
  auto* result = std::get_if<Activation>(&given);
  if (result == nullptr) {
    refuse(call, fmt::format("its argument '{}' does not come from the clip", name));
  }
  if (!result->softmax.empty()) {
    refuse(call, fmt::format("reads the probabilities of '{}'; a softmax can only stand at the end",
                             printable(result->softmax)));
  }
  return std::move(*result);
}

const ConstantTensor* Importer::constant(const Call& call, std::string_view name) const {
  const Argument* given = argument(call, name);
  if (given == nullptr) return nullptr;
  const auto* tensor = std::get_if<TensorName>(given);
  const Value* found = tensor == nullptr ? nullptr : &value(call, tensor->name);
  const auto* result = found == nullptr ? nullptr : std::get_if<ConstantTensor>(found);
  if (result == nullptr) {
    refuse(call,
           fmt::format("its argument '{}' is no constant; weights that depend on the clip are "
                       "not supported",
                       name));
  }
  return result;
}

std::size_t Importer::axis(const Call& call, std::int64_t axis, std::size_t rank) const {
  const auto size = static_cast<std::int64_t>(rank);
  if (axis < -size || axis >= size) {
    refuse(call, fmt::format("axis {} of a tensor of {} axes", axis, rank));
  }
  return static_cast<std::size_t>(axis < 0 ? axis + size : axis);
}

std::vector<std::size_t> Importer::axes(const Call& call, std::string_view name,
                                        std::size_t rank) const {
  std::vector<std::size_t> result;
  for (const std::int64_t given : integers(call, name, {})) {
    result.push_back(axis(call, given, rank));
  }
  if (result.empty()) {
    for (std::size_t i = 0; i < rank; ++i) result.push_back(i);
  }
  std::ranges::sort(result);
  if (std::ranges::adjacent_find(result) != result.end()) {
    refuse(call, fmt::format("its argument '{}' names an axis twice", name));
  }
  return result;
}

}  // namespace cfp
