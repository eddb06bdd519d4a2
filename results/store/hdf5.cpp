#include "results/store/hdf5.h"

#include <memory>
#include <mutex>

#include <fmt/format.h>

#include "stages/core/errors.h"

namespace cfp::hdf5 {
namespace {

/// What one walk over HDF5's error stack collects.
struct ErrorText {
  std::string innermost;  ///< the description where the error arose; holds the system's reason
};

herr_t collect(unsigned depth, const H5E_error2_t* error, void* out) {
  auto* text = static_cast<ErrorText*>(out);
  if (depth == 0 && error->desc != nullptr) text->innermost = error->desc;
  return 0;
}

/// Of a failed call of the system HDF5 tells time, descriptor and addresses besides the reason, in
/// two lines; only the reason helps a user.
std::string reason_of(const std::string& description) {
  static constexpr std::string_view kBefore = "error message = '";
  const std::size_t found = description.find(kBefore);
  if (found == std::string::npos) return description;
  const std::size_t begin = found + kBefore.size();
  const std::size_t end = description.find('\'', begin);
  return end == std::string::npos ? description : description.substr(begin, end - begin);
}

struct FreeHdf5Memory {
  void operator()(char* memory) const { H5free_memory(memory); }
};

}  // namespace

void initialise() {
  static std::once_flag once;
  std::call_once(once, [] {
    // A file whose disk is full cannot be closed, and HDF5 would try again at exit, without end.
    H5dont_atexit();
    H5open();
  });
  H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
}

void fail(std::string_view item, std::string_view what) {
  ErrorText text;
  H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, collect, &text);
  H5Eclear2(H5E_DEFAULT);
  if (text.innermost.empty()) text.innermost = "HDF5 gives no reason";
  throw SystemError(fmt::format("{}: {}: {}", item, what, reason_of(text.innermost)));
}

Type string_type() {
  Type type(check(H5Tcopy(H5T_C_S1), "HDF5", "cannot make a string type"));
  check(H5Tset_size(type.get(), H5T_VARIABLE), "HDF5", "cannot make a string type");
  check(H5Tset_cset(type.get(), H5T_CSET_UTF8), "HDF5", "cannot make a string type");
  return type;
}

void write_attribute(hid_t object, const char* name, const std::string& text,
                     std::string_view item) {
  if (text.find('\0') != std::string::npos) {
    throw SystemError(fmt::format("{}: attribute {}: a zero byte inside a text", item, name));
  }
  const Type type = string_type();
  const Space scalar(check(H5Screate(H5S_SCALAR), item, "cannot make a scalar"));
  const Attribute attribute(
      check(H5Acreate2(object, name, type.get(), scalar.get(), H5P_DEFAULT, H5P_DEFAULT), item,
            "cannot create an attribute"));
  const char* data = text.c_str();
  check(H5Awrite(attribute.get(), type.get(), &data), item, "cannot write an attribute");
}

void write_attribute(hid_t object, const char* name, std::int32_t value, std::string_view item) {
  const Space scalar(check(H5Screate(H5S_SCALAR), item, "cannot make a scalar"));
  const Attribute attribute(
      check(H5Acreate2(object, name, H5T_STD_I32LE, scalar.get(), H5P_DEFAULT, H5P_DEFAULT), item,
            "cannot create an attribute"));
  check(H5Awrite(attribute.get(), H5T_NATIVE_INT32, &value), item, "cannot write an attribute");
}

namespace {

/// Opens an attribute that must be one value of a class.
Attribute open_scalar(hid_t object, const char* name, H5T_class_t wanted, std::string_view item) {
  Attribute attribute(
      check(H5Aopen(object, name, H5P_DEFAULT), item, fmt::format("has no attribute {}", name)));
  const Space space(check(H5Aget_space(attribute.get()), item, "cannot read an attribute"));
  const Type type(check(H5Aget_type(attribute.get()), item, "cannot read an attribute"));
  if (H5Sget_simple_extent_type(space.get()) != H5S_SCALAR || H5Tget_class(type.get()) != wanted) {
    throw SystemError(fmt::format("{}: attribute {}: another type than in a part", item, name));
  }
  return attribute;
}

}  // namespace

std::string read_string_attribute(hid_t object, const char* name, std::string_view item) {
  const Attribute attribute = open_scalar(object, name, H5T_STRING, item);
  const Type stored(check(H5Aget_type(attribute.get()), item, "cannot read an attribute"));
  if (check(H5Tis_variable_str(stored.get()), item, "cannot read an attribute") == 0) {
    throw SystemError(fmt::format("{}: attribute {}: not a text of variable length", item, name));
  }
  const Type type = string_type();
  char* data = nullptr;
  check(H5Aread(attribute.get(), type.get(), &data), item, fmt::format("attribute {}", name));
  const std::unique_ptr<char, FreeHdf5Memory> owner(data);
  return data == nullptr ? std::string() : std::string(data);
}

std::int32_t read_int_attribute(hid_t object, const char* name, std::string_view item) {
  const Attribute attribute = open_scalar(object, name, H5T_INTEGER, item);
  std::int32_t value = 0;
  check(H5Aread(attribute.get(), H5T_NATIVE_INT32, &value), item,
        fmt::format("attribute {}", name));
  return value;
}

void keep_attributes_compact(hid_t creation, std::string_view item) {
  check(H5Pset_attr_phase_change(creation, kMostAttributes, kMostAttributes), item,
        "cannot set how attributes are stored");
}

bool has_compact_attributes(hid_t object, std::string_view item) {
  H5O_info_t info;
  check(H5Oget_info2(object, &info, H5O_INFO_META_SIZE), item, "cannot look at an object");
  return info.meta_size.attr.heap_size == 0 && info.meta_size.attr.index_size == 0;
}

Group create_group(hid_t parent, const std::string& name, std::string_view item) {
  // Without time stamps equal results are equal files.
  const PropertyList creation(check(H5Pcreate(H5P_GROUP_CREATE), item, "cannot make a group"));
  check(H5Pset_obj_track_times(creation.get(), false), item, "cannot make a group");
  check(H5Pset_link_creation_order(creation.get(), H5P_CRT_ORDER_TRACKED | H5P_CRT_ORDER_INDEXED),
        item, "cannot make a group");
  keep_attributes_compact(creation.get(), item);
  return Group(check(H5Gcreate2(parent, name.c_str(), H5P_DEFAULT, creation.get(), H5P_DEFAULT),
                     item, fmt::format("cannot create the group {}", name)));
}

bool contains(hid_t parent, const std::string& name, std::string_view item) {
  const htri_t exists = H5Lexists(parent, name.c_str(), H5P_DEFAULT);
  if (check(exists, item, fmt::format("cannot look for {}", name)) == 0) return false;
  H5L_info_t info;
  check(H5Lget_info(parent, name.c_str(), &info, H5P_DEFAULT), item,
        fmt::format("cannot look at {}", name));
  return info.type == H5L_TYPE_HARD;
}

Group open_group(hid_t parent, const std::string& name, std::string_view item) {
  if (!contains(parent, name, item)) {
    throw SystemError(fmt::format("{}: has no group {}", item, name));
  }
  return Group(check(H5Gopen2(parent, name.c_str(), H5P_DEFAULT), item,
                     fmt::format("cannot open the group {}", name)));
}

}  // namespace cfp::hdf5
