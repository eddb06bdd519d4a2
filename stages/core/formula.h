// Numbers from a formula: weights and inputs that need no file and are the same on every machine.
//
// A tensor is a stream with a name; element i of a stream is a splitmix64 hash of (stream, i). Used
// by `checkpoint: random`, by the tests' golden cases, and wherever a seed must mean one thing.
#pragma once

#include <cstdint>
#include <string_view>

namespace cfp {

/// FNV-1a, 64 bits.
std::uint64_t fnv1a64(std::string_view bytes, std::uint64_t start = 0xCBF29CE484222325ULL);

/// The finaliser of splitmix64.
constexpr std::uint64_t mix64(std::uint64_t z) {
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
  return z ^ (z >> 31);
}

/// A stream of hash values, any element of which can be had without the ones before it.
class FormulaStream {
 public:
  /// The stream of a network's tensor: its name, and the seed of the whole network.
  FormulaStream(std::uint64_t base_seed, std::string_view name)
      : state_(fnv1a64(name) ^ (base_seed * kGolden)) {}

  std::uint64_t bits(std::uint64_t index) const { return mix64(state_ + (index + 1) * kGolden); }
  /// @return element `index`, uniform in [0, 1), a multiple of 2^-24: exact in float32
  float uniform(std::uint64_t index) const {
    return static_cast<float>(bits(index) >> 40) * 0x1p-24F;
  }

 private:
  static constexpr std::uint64_t kGolden = 0x9E3779B97F4A7C15ULL;
  std::uint64_t state_;
};

}  // namespace cfp
