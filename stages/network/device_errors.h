// What LibTorch throws, as the kinds of error that the program knows.
#pragma once

#include <string_view>

#include <c10/core/Device.h>

namespace cfp {

/// Rethrows the exception in flight, to be called in a `catch (...)`, as what it means for a
/// device: too little memory, a device that is gone, or another failure. What is not of LibTorch
/// and not about memory is thrown on as it is.
///
/// @param what  begins the message: what the device was doing
/// @throws DeviceOutOfMemory, DeviceLost, SystemError
[[noreturn]] void rethrow_device_error(const c10::Device& device, std::string_view what);

}  // namespace cfp
