// Sixteen floats that are computed with at once, and lie in memory at any address.
//
//   vectors_at<FloatVector>(to)[n].value += total;
#pragma once

#include <cstdint>

#include "stages/network/multiversion.h"

namespace cfp::cpu {

inline constexpr std::int64_t kVectorFloats = 16;
using FloatVector = float __attribute__((vector_size(sizeof(float) * kVectorFloats)));

template <class Number>
struct __attribute__((packed, may_alias)) Anywhere {
  Number value;
};

/// @tparam Number  FloatVector, or float where fewer are left
template <class Number>
CFP_INLINE Anywhere<Number>* vectors_at(float* first) {
  return reinterpret_cast<Anywhere<Number>*>(first);
}
template <class Number>
CFP_INLINE const Anywhere<Number>* vectors_at(const float* first) {
  return reinterpret_cast<const Anywhere<Number>*>(first);
}

}  // namespace cfp::cpu
