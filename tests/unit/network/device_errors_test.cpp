// What LibTorch and oneDNN throw, and what the program takes it for.
#include "stages/network/device_errors.h"

#include <functional>
#include <new>
#include <stdexcept>

#include <ATen/ops/add.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <oneapi/dnnl/dnnl_common.hpp>

#include "stages/core/errors.h"
#include "tests/support/sanitizers.h"

namespace cfp::test {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

const c10::Device kCpu(c10::kCPU);

std::function<void()> translated(const std::function<void()>& work, c10::Device device = kCpu) {
  return [work, device] {
    try {
      work();
    } catch (...) {
      rethrow_device_error(device, "failed");
    }
  };
}

TEST(DeviceErrors, MemoryThatTheAllocatorDoesNotGet) {
  if (kHasAddressSanitizer) GTEST_SKIP() << "a sanitizer ends the program that asks for so much";
  const auto allocate = [] { at::empty({std::int64_t{1} << 60}, at::kByte); };
  EXPECT_THAT(translated(allocate), ThrowsMessage<DeviceOutOfMemory>(HasSubstr("cpu failed: ")));
  const auto heap = [] { throw std::bad_alloc(); };
  EXPECT_THAT(translated(heap), ThrowsMessage<DeviceOutOfMemory>("cpu failed: out of memory"));
}

TEST(DeviceErrors, MemoryThatOneDnnDoesNotGet) {
  const auto create = [] { throw dnnl::error(dnnl_out_of_memory, "could not create a primitive"); };
  EXPECT_THAT(translated(create), ThrowsMessage<DeviceOutOfMemory>(
                                      "cpu failed: could not create a primitive, out of memory"));
}

// Thrown inside LibTorch's own library, which looks at the shapes of dense tensors only.
TEST(DeviceErrors, WhatOneDnnRefusesIsNotAboutMemory) {
  const auto add = [] { at::add(at::zeros({2, 3}).to_mkldnn(), at::zeros({4, 5}).to_mkldnn()); };
  EXPECT_THROW(add(), dnnl::error);
  EXPECT_THROW(translated(add)(), SystemError);
  try {
    translated(add)();
  } catch (const std::exception& error) {
    EXPECT_EQ(dynamic_cast<const DeviceOutOfMemory*>(&error), nullptr);
    EXPECT_THAT(error.what(), HasSubstr("of oneDNN"));
  }
}

TEST(DeviceErrors, AnErrorOfCudaLosesTheDevice) {
  const auto launch = [] { TORCH_CHECK(false, "CUDA error: an illegal memory access"); };
  const c10::Device cuda(c10::kCUDA, 1);
  EXPECT_THAT(translated(launch, cuda), ThrowsMessage<DeviceLost>(HasSubstr("cuda:1 failed: ")));
  const auto allocate = [] { TORCH_CHECK(false, "CUBLAS_STATUS_ALLOC_FAILED"); };
  EXPECT_THROW(translated(allocate, cuda)(), DeviceOutOfMemory);
}

TEST(DeviceErrors, WhatIsNotOfADeviceIsThrownOn) {
  const auto bug = [] { throw std::logic_error("3 outcomes for 4 rows"); };
  EXPECT_THAT(translated(bug), ThrowsMessage<std::logic_error>("3 outcomes for 4 rows"));
}

}  // namespace
}  // namespace cfp::test
