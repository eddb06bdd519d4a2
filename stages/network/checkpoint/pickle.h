// A reader of Python pickles that runs nothing: numbers, text, containers, and tensors by
// reference.
//
// A pickle is a program for a stack machine that may name and call any Python function. This one
// knows the handful that torch.save() needs to describe tensors, and refuses every other by name.
// Time and memory grow linearly with the pickle: every child of a container is paid for with a byte
// of the pickle, values are shared by id and never copied, and nothing walks them recursively.
//
//   const Pickle pickle = read_pickle(file.bytes(), file.name());
//   if (const auto* dict = pickle.as<PickleDict>(pickle.root)) …
//
// Source: Python's Lib/pickletools.py for the opcodes, torch/serialization.py for the globals.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "stages/network/checkpoint/bytes.h"
#include "stages/network/checkpoint/checkpoint.h"

namespace cfp {

/// Position of a value in Pickle::values.
using PickleId = std::uint32_t;

struct PickleNone {};
/// An integer of more than 64 bits, as its little-endian bytes.
struct PickleBigInteger {
  ByteView bytes;
};
/// A list or a tuple.
struct PickleSequence {
  std::vector<PickleId> items;
  bool tuple = false;
};
/// A dict or an OrderedDict, in the order in which it was filled.
struct PickleDict {
  std::vector<std::pair<PickleId, PickleId>> items;
};
/// The raw memory behind tensors, by a key that the file's container resolves.
struct PickleStorage {
  std::string_view key;
  DType dtype = DType::kFloat32;
  std::int64_t elements = 0;     ///< of the whole storage
  std::int64_t view_offset = 0;  ///< first element that tensors of this storage see
};
/// A tensor: a storage and how to look at it. `shape` and `stride` are ids of sequences.
struct PickleTensor {
  PickleId storage = 0;
  std::int64_t offset = 0;  ///< in elements
  PickleId shape = 0, stride = 0;
};
/// Something harmless that a checkpoint may hold and nobody here needs: a numpy scalar, a Counter.
struct PickleSkipped {};
/// A function or class of the allow-list; what it means is known to pickle_globals.cpp alone.
struct PickleGlobal {
  int index = 0;
};

using PickleValue = std::variant<PickleNone, bool, std::int64_t, double, PickleBigInteger,
                                 std::string_view, PickleSequence, PickleDict, PickleStorage,
                                 PickleTensor, PickleSkipped, PickleGlobal>;

/// What one pickle holds. Text and keys point into the bytes it was read from.
struct Pickle {
  std::deque<PickleValue> values;  ///< a deque, whose growth neither copies nor reserves
  PickleId root = 0;
  std::size_t bytes_used = 0;  ///< up to and with its STOP

  /// @return the value as a T, or nothing where it is something else
  template <class T>
  const T* as(PickleId id) const {
    return std::get_if<T>(&values.at(id));
  }
  /// @return what `key` stands for in a dict, the last one where it is there twice
  std::optional<PickleId> find(const PickleDict& dict, std::string_view key) const;
  /// @return the sequence's integers
  /// @throws SystemError it is no sequence of integers, or of more than kMaxAxes
  std::vector<std::int64_t> integers(PickleId id, std::string_view file,
                                     std::string_view what) const;
};

/// Limits beyond which a pickle is refused; far above what a checkpoint needs.
inline constexpr std::size_t kMaxPickleBytes = std::size_t{32} << 20;
inline constexpr std::size_t kMaxPickleValues = 1'000'000;
inline constexpr int kMaxPickleDepth = 200;

/// Reads the pickle that `bytes` begin with; protocols 2 to 5.
///
/// @throws SystemError truncated, an opcode or a global outside the allow-list (names it), deeper
/// or
///         larger than the limits
Pickle read_pickle(ByteView bytes, const std::string& file);

}  // namespace cfp
