// HDF5's C library behind calls that are always checked. Private to this room.
#pragma once

#include <string>
#include <string_view>

#include <hdf5.h>

#include "stages/core/c_handle.h"

namespace cfp::hdf5 {

using File = CHandle<hid_t, H5I_INVALID_HID, H5Fclose>;
using Group = CHandle<hid_t, H5I_INVALID_HID, H5Gclose>;
using Dataset = CHandle<hid_t, H5I_INVALID_HID, H5Dclose>;
using Space = CHandle<hid_t, H5I_INVALID_HID, H5Sclose>;
using Type = CHandle<hid_t, H5I_INVALID_HID, H5Tclose>;
using Attribute = CHandle<hid_t, H5I_INVALID_HID, H5Aclose>;
using PropertyList = CHandle<hid_t, H5I_INVALID_HID, H5Pclose>;

/// Switches HDF5's own printing of errors off, which it keeps thread by thread. To be called before
/// any other call wherever a thread may enter this room for the first time.
void initialise();

/// Throws what HDF5 says about its last call that failed.
/// @throws SystemError always: `<item>: <what>: <HDF5's reason>`
[[noreturn]] void fail(std::string_view item, std::string_view what);

/// The one funnel: @return `result`, when it is not negative, as HDF5 counts success.
/// @throws SystemError it is negative
template <class Result>
Result check(Result result, std::string_view item, std::string_view what) {
  if (result < 0) fail(item, what);
  return result;
}

/// @return the type of a string of any length, UTF-8
Type string_type();

/// @throws SystemError the disk is full or fails; `item` names the file
void write_attribute(hid_t object, const char* name, const std::string& text,
                     std::string_view item);
void write_attribute(hid_t object, const char* name, std::int32_t value, std::string_view item);

/// @throws SystemError there is none of this name, or it is not one string; `item` names the file
std::string read_string_attribute(hid_t object, const char* name, std::string_view item);
/// @throws SystemError there is none of this name, or it is not one integer
std::int32_t read_int_attribute(hid_t object, const char* name, std::string_view item);

/// More than any object has.
inline constexpr unsigned kMostAttributes = 64;

/// Keeps the attributes of an object in its header, however many there are: from the form that HDF5
/// would change to, H5Ocopy of 1.10 crashes where one is a text.
void keep_attributes_compact(hid_t creation, std::string_view item);
/// @return whether they are
bool has_compact_attributes(hid_t object, std::string_view item);

/// @throws SystemError the name is taken or the disk full
Group create_group(hid_t parent, const std::string& name, std::string_view item);
/// @throws SystemError there is none, or it is a link to elsewhere
Group open_group(hid_t parent, const std::string& name, std::string_view item);

/// @return whether `parent` holds something called `name`, and not through a link to elsewhere
bool contains(hid_t parent, const std::string& name, std::string_view item);

}  // namespace cfp::hdf5
