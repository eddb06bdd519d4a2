// What a `torch.export` archive (.pt2) holds, as plain data: the graph of ATen calls and its
// tensors.
//
// Nothing is executed. The archive is a zip of stored entries: `models/<model>.json` is the graph,
// `data/weights/` and `data/constants/` hold raw tensors and a JSON of their names, types, shapes
// and strides. Everything in it is checked before it is used.
//
//   const ExportedProgram program = read_exported_program("network.pt2");
//   for (const Call& call : program.calls) …
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

namespace cfp {

/// A tensor of the archive as float32, row-major; integers up to 2^24 are exact.
struct ConstantTensor {
  std::string name;  ///< the parameter's or buffer's: `layer1.0.conv1.weight`; empty: computed
  std::vector<std::int64_t> shape;
  std::shared_ptr<const float> data;

  std::int64_t elements() const;
};

/// A value of the graph by its name; empty in a list of optional tensors.
struct TensorName {
  std::string name;
};

/// Nothing where an optional argument is left out.
using Argument =
    std::variant<std::monostate, bool, std::int64_t, double, std::string, std::vector<std::int64_t>,
                 std::vector<double>, TensorName, std::vector<TensorName>>;

/// One ATen call.
struct Call {
  std::string name;       ///< of the graph's node: `conv3d_4`
  std::string operation;  ///< without overload: `aten.conv3d`
  std::map<std::string, Argument, std::less<>> arguments;
  std::vector<std::string> results;

  /// `node 'conv3d_4' (aten.conv3d)`, for messages
  std::string label() const;
};

struct ExportedProgram {
  std::string path;
  std::map<std::string, ConstantTensor, std::less<>> constants;  ///< by the graph's names
  std::string input;                                             ///< the clip's name
  std::vector<std::int64_t> input_shape;
  std::vector<Call> calls;
  std::uint64_t calls_hash = 0;  ///< FNV-1a of what is called with what
  std::vector<std::string> outputs;
};

/// Reads an archive.
///
/// @throws SystemError cannot be read, is no such archive or of another version, is damaged, has
/// more
///         than one input or sizes that are not constant
ExportedProgram read_exported_program(const std::string& path);

/// The same of bytes in memory, which `owner` keeps.
ExportedProgram parse_exported_program(std::span<const std::uint8_t> bytes,
                                       const std::shared_ptr<const void>& owner,
                                       const std::string& path);

}  // namespace cfp
