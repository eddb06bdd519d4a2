#include "tests/unit/network/tensor_helpers.h"

#include <algorithm>
#include <cmath>

#include <ATen/Parallel.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>

#include "stages/core/formula.h"
#include "stages/network/random_weights.h"
#include "tests/support/random_graphs.h"

namespace cfp::test {
namespace {

testing::AssertionResult compare(const at::Tensor& actual, const at::Tensor& expected,
                                 double tolerance, bool relative_to_each) {
  if (!actual.defined() || !expected.defined()) {
    return testing::AssertionFailure() << "a tensor is undefined";
  }
  if (actual.sizes() != expected.sizes()) {
    return testing::AssertionFailure()
           << "shape " << actual.sizes() << ", expected " << expected.sizes();
  }
  const at::Tensor a = actual.detach().to(at::kDouble).contiguous();
  const at::Tensor e = expected.detach().to(at::kDouble).contiguous();
  const double* got = a.const_data_ptr<double>();
  const double* want = e.const_data_ptr<double>();
  double largest = 0;
  for (std::int64_t i = 0; i < e.numel(); ++i) largest = std::max(largest, std::abs(want[i]));
  std::int64_t first_bad = -1;
  double worst = 0;
  for (std::int64_t i = 0; i < a.numel(); ++i) {
    const double scale = relative_to_each ? std::abs(want[i]) : largest;
    const double error = std::abs(got[i] - want[i]);
    // Written so that NaN counts as bad.
    if (!(error <= tolerance * scale) && first_bad < 0) first_bad = i;
    worst = std::max(worst, scale > 0 ? error / scale : error);
  }
  if (first_bad < 0) return testing::AssertionSuccess();
  return testing::AssertionFailure()
         << "shape " << actual.sizes() << ": element " << first_bad << " (row-major) is "
         << got[first_bad] << ", expected " << want[first_bad] << "; largest relative error "
         << worst << ", allowed " << tolerance << "; largest number " << largest;
}

}  // namespace

at::Tensor random_tensor(const std::vector<std::int64_t>& shape, std::uint64_t seed,
                         at::ScalarType dtype) {
  const FormulaStream stream(seed, "random_tensor");
  at::Tensor result = at::empty(shape, at::kDouble);
  double* to = result.data_ptr<double>();
  for (std::int64_t i = 0; i < result.numel(); ++i) {
    to[i] = 2 * static_cast<double>(stream.uniform(static_cast<std::uint64_t>(i))) - 1;
  }
  return result.to(dtype);
}

at::Tensor channels_last_float(const at::Tensor& ncthw) {
  return ncthw.to(at::kFloat).contiguous(at::MemoryFormat::ChannelsLast3d).clone();
}

testing::AssertionResult close_to(const at::Tensor& actual, const at::Tensor& expected,
                                  double tolerance) {
  return compare(actual, expected, tolerance, false);
}

testing::AssertionResult each_close_to(const at::Tensor& actual, const at::Tensor& expected,
                                       double tolerance) {
  return compare(actual, expected, tolerance, true);
}

testing::AssertionResult equal_to(const at::Tensor& actual, const at::Tensor& expected) {
  return compare(actual, expected, 0, true);
}

Triple size_of(const at::Tensor& ncthw) {
  return {static_cast<int>(ncthw.size(2)), static_cast<int>(ncthw.size(3)),
          static_cast<int>(ncthw.size(4))};
}

Network random_network(std::uint64_t seed) {
  Network network;
  network.graph = random_graph(seed);
  network.weights = formula_weights(network.graph, seed);
  return network;
}

at::Tensor random_clips(std::uint64_t seed, int batch) {
  const Triple size = random_clip_size(seed);
  std::vector<at::Tensor> clips;
  for (int b = 0; b < batch; ++b) {
    std::vector<float> values = formula_input(size, 1000 * seed + static_cast<std::uint64_t>(b));
    clips.push_back(at::from_blob(values.data(), {1, 3, size[0], size[1], size[2]}).clone());
  }
  return at::cat(clips);
}

ThreadCount::ThreadCount(int threads) : before_(at::get_num_threads()) {
  at::set_num_threads(threads);
}

ThreadCount::~ThreadCount() { at::set_num_threads(before_); }

}  // namespace cfp::test
