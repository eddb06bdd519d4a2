// Ownership of what C libraries hand out, once for the whole project.
#pragma once

#include <memory>
#include <utility>

namespace cfp {

/// Deleter for C functions that take `T*` (`free_it(x)`) or `T**` (`free_it(&x)`).
template <auto Free>
struct CFree {
  template <class T>
  void operator()(T* object) const {
    if constexpr (requires { Free(&object); }) {
      Free(&object);
    } else {
      Free(object);
    }
  }
};

/// A pointer that a C library allocated: `CPtr<AVFrame, av_frame_free>`.
template <class T, auto Free>
using CPtr = std::unique_ptr<T, CFree<Free>>;

/// A move-only id of a C library: `CHandle<hid_t, H5I_INVALID_HID, H5Dclose>`.
template <class Id, Id kInvalid, auto Close>
class CHandle {
 public:
  CHandle() = default;
  explicit CHandle(Id id) : id_(id) {}
  CHandle(CHandle&& other) noexcept : id_(std::exchange(other.id_, kInvalid)) {}
  CHandle& operator=(CHandle&& other) noexcept {
    if (this != &other) {
      reset();
      id_ = std::exchange(other.id_, kInvalid);
    }
    return *this;
  }
  CHandle(const CHandle&) = delete;
  CHandle& operator=(const CHandle&) = delete;
  ~CHandle() { reset(); }

  Id get() const { return id_; }
  explicit operator bool() const { return id_ != kInvalid; }
  /// Hands the id over to a caller who closes it and wants to know whether that worked.
  Id release() { return std::exchange(id_, kInvalid); }
  void reset() {
    if (id_ != kInvalid) Close(std::exchange(id_, kInvalid));
  }

 private:
  Id id_ = kInvalid;
};

}  // namespace cfp
