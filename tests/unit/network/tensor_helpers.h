// Tensors for tests: numbers that are the same on every machine, and comparisons that say where two
// tensors differ.
//
//   EXPECT_TRUE(close_to(actual, expected, 1e-5));
#pragma once

#include <cstdint>
#include <vector>

#include <ATen/core/Tensor.h>
#include <gtest/gtest.h>

#include "stages/network/network.h"

namespace cfp::test {

/// @return values in [-1, 1), multiples of 2^-23: the same numbers in float32 and float64
at::Tensor random_tensor(const std::vector<std::int64_t>& shape, std::uint64_t seed,
                         at::ScalarType dtype = at::kDouble);

/// @return the numbers as the fast paths take them: float32, channels last
at::Tensor channels_last_float(const at::Tensor& ncthw);

/// Compares in float64; errors are relative to the largest number of `expected`.
/// @return failure with shape, first bad index and largest error; also where a number is not finite
testing::AssertionResult close_to(const at::Tensor& actual, const at::Tensor& expected,
                                  double tolerance);

/// As close_to(), but every number's error is relative to that number alone: zeros must be zeros.
testing::AssertionResult each_close_to(const at::Tensor& actual, const at::Tensor& expected,
                                       double tolerance);

/// @return whether shapes and numbers are equal, whatever the layout
testing::AssertionResult equal_to(const at::Tensor& actual, const at::Tensor& expected);

/// @return T, H, W of [B, C, T, H, W]
Triple size_of(const at::Tensor& ncthw);

/// A random network of random_graphs.h with weights from a formula.
Network random_network(std::uint64_t seed);

/// A clip or several for random_network(seed), each with other numbers: [batch, 3, T, H, W].
at::Tensor random_clips(std::uint64_t seed, int batch);

/// Sets the number of threads and puts it back at the end.
class ThreadCount {
 public:
  explicit ThreadCount(int threads);
  ~ThreadCount();
  ThreadCount(const ThreadCount&) = delete;
  ThreadCount& operator=(const ThreadCount&) = delete;

 private:
  int before_;
};

}  // namespace cfp::test
