#include "stages/network/device_errors.h"

#include <algorithm>
#include <array>
#include <new>
#include <string>

#include <c10/util/Exception.h>
#include <fmt/format.h>
#include <oneapi/dnnl/dnnl_common.hpp>

#include "stages/core/errors.h"

namespace cfp {
namespace {

bool holds_any(std::string_view text, std::initializer_list<std::string_view> words) {
  return std::ranges::any_of(
      words, [&](std::string_view word) { return text.find(word) != std::string_view::npos; });
}

// Of a CPU's allocator, of cuBLAS and of CUDA itself there is no exception of their own kind.
bool tells_of_memory(std::string_view text) {
  return holds_any(text, {"DefaultCPUAllocator", "out of memory", "CUBLAS_STATUS_ALLOC_FAILED",
                          "CUDNN_STATUS_ALLOC_FAILED"});
}

// A CUDA error leaves the context of its process unusable, whatever the call was.
bool tells_of_lost_device(const c10::Device& device, std::string_view text) {
  return !device.is_cpu() && holds_any(text, {"CUDA error", "CUDA driver error", "device-side",
                                              "CUBLAS_STATUS_", "CUDNN_STATUS_"});
}

}  // namespace

void rethrow_device_error(const c10::Device& device, std::string_view what) {
  const auto message = [&](std::string_view reason) {
    return fmt::format("{} {}: {}", device.str(), what, reason);
  };
  try {
    throw;
  } catch (const c10::OutOfMemoryError& error) {
    throw DeviceOutOfMemory(message(error.what_without_backtrace()));
  } catch (const c10::Error& error) {
    const std::string_view reason = error.what_without_backtrace();
    if (tells_of_memory(reason)) throw DeviceOutOfMemory(message(reason));
    if (tells_of_lost_device(device, reason)) throw DeviceLost(message(reason));
    throw SystemError(message(reason));
  } catch (const dnnl::error& error) {
    // oneDNN allocates the code and the scratch memory of its kernels by itself.
    if (error.status == dnnl_out_of_memory) {
      throw DeviceOutOfMemory(message(fmt::format("{}, out of memory", error.what())));
    }
    throw SystemError(message(
        fmt::format("{}, status {} of oneDNN", error.what(), static_cast<int>(error.status))));
  } catch (const std::bad_alloc&) {
    throw DeviceOutOfMemory(message("out of memory"));
  }
}

}  // namespace cfp
