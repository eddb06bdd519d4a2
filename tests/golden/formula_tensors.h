// The tensors that golden cases of the `published` scorer are made of: their README, section 1.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "stages/network/network.h"

namespace cfp::test {

struct FormulaTensor {
  std::vector<std::int64_t> shape;
  std::vector<float> values;

  std::int64_t elements() const { return static_cast<std::int64_t>(values.size()); }
};

/// Weights of a chain: (u24 - centre) * 2^log2.
/// @param described `stream`, `shape`, `centre`, `log2`, `check`
/// @throws std::runtime_error the check sum is another
FormulaTensor formula_weight(const nlohmann::json& described, std::uint64_t base_seed);

/// Activations of a chain: `stream`, `shape`, `check`.
FormulaTensor formula_activation(const nlohmann::json& described, std::uint64_t base_seed);

/// A network's clip [3, T, H, W]: `stream`, `shape`, `check`.
FormulaTensor formula_clip(const nlohmann::json& described, std::uint64_t base_seed);

/// A network's tensors by name.
/// @param tensors [name, shape, rule, check]
Weights formula_tensors(const nlohmann::json& tensors, std::uint64_t base_seed);

}  // namespace cfp::test
