#include "stages/network/exported/program.h"

#include <algorithm>
#include <array>
#include <string_view>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "stages/core/errors.h"
#include "stages/core/formula.h"
#include "stages/network/checkpoint/checkpoint.h"
#include "stages/network/checkpoint/mapped_file.h"
#include "stages/network/checkpoint/zip_archive.h"

namespace cfp {
namespace {

using nlohmann::json;

/// Far above any network: a ResNet-152 has 1,000 calls and 4 MB of JSON.
constexpr std::size_t kMostCalls = 10'000;
constexpr std::size_t kMostJsonBytes = std::size_t{64} << 20;
constexpr std::size_t kMostListed = 1 << 16;

/// Axes of a tensor that one number repeats along may be huge without any data behind them.
constexpr std::int64_t kMostElements = std::int64_t{1} << 31;

/// Element types by their number in the format (torch/_export/serde/schema.py, ScalarType).
constexpr std::array<std::pair<int, DType>, 10> kTypes{{{1, DType::kUInt8},
                                                        {2, DType::kInt8},
                                                        {3, DType::kInt16},
                                                        {4, DType::kInt32},
                                                        {5, DType::kInt64},
                                                        {6, DType::kFloat16},
                                                        {7, DType::kFloat32},
                                                        {8, DType::kFloat64},
                                                        {12, DType::kBool},
                                                        {13, DType::kBFloat16}}};

class ProgramReader {
 public:
  ProgramReader(ByteView bytes, std::shared_ptr<const void> owner, const std::string& path)
      : archive_(bytes, path), owner_(std::move(owner)), path_(path) {
    for (const ZipEntry& entry : archive_.entries()) {
      const std::string_view name = entry.name;
      const std::size_t models = name.find("/models/");
      if (models == std::string_view::npos || !name.ends_with(".json")) continue;
      if (!model_.empty()) refuse_file(path_, "holds more than one model");
      root_ = name.substr(0, models + 1);
      model_ = name;
    }
    if (model_.empty()) {
      refuse_file(path_, "is a zip archive, but not of torch.export.save: it has no models/*.json");
    }
  }

  ExportedProgram read() {
    const json model = parse(model_);
    check_version(model);
    const json& graph = at(at(model, "graph_module"), "graph");
    const json& signature = at(at(model, "graph_module"), "signature");
    program_.path = path_;
    read_inputs(list(at(signature, "input_specs")), at(graph, "tensor_values"));
    const json& nodes = list(at(graph, "nodes"));
    if (nodes.size() > kMostCalls) {
      refuse_file(path_, fmt::format("has {} calls, allowed are {}", nodes.size(), kMostCalls));
    }
    for (const json& node : nodes) {
      program_.calls.push_back(read_call(node));
      for (const char* key : {"target", "inputs", "outputs"}) {
        program_.calls_hash = fnv1a64(at(node, key).dump(), program_.calls_hash);
      }
    }
    for (const json& output : list(at(graph, "outputs"))) {
      if (!output.contains("as_tensor")) refuse_file(path_, "an output of it is no tensor");
      program_.outputs.push_back(text(at(at(output, "as_tensor"), "name")));
    }
    if (program_.outputs.empty()) refuse_file(path_, "has no output");
    return std::move(program_);
  }

 private:
  // ---- JSON that may hold anything -------------------------------------------------------------

  json parse(std::string_view entry) const {
    const ByteView bytes = archive_.data(entry);
    if (bytes.size() > kMostJsonBytes) {
      refuse_file(path_, fmt::format("{} has {} bytes, allowed are {}", printable(entry),
                                     bytes.size(), kMostJsonBytes));
    }
    json value = json::parse(bytes.begin(), bytes.end(), nullptr, /*allow_exceptions=*/false);
    if (value.is_discarded()) refuse_file(path_, fmt::format("{} is no JSON", printable(entry)));
    return value;
  }
  const json& at(const json& value, const char* key) const {
    const auto found = value.is_object() ? value.find(key) : value.end();
    if (!value.is_object() || found == value.end()) {
      refuse_file(path_, fmt::format("its graph lacks '{}' where one belongs", key));
    }
    return *found;
  }
  const json& list(const json& value) const {
    if (!value.is_array()) refuse_file(path_, "its graph has no list where one belongs");
    return value;
  }
  std::string text(const json& value) const {
    if (!value.is_string()) refuse_file(path_, "its graph has no text where one belongs");
    return value.get<std::string>();
  }
  std::int64_t integer(const json& value) const {
    if (!value.is_number_integer())
      refuse_file(path_, "its graph has no integer where one belongs");
    return value.get<std::int64_t>();
  }
  /// An integer that may be wrapped as a symbol of constant value.
  std::int64_t constant_integer(const json& value) const {
    if (value.is_number_integer()) return value.get<std::int64_t>();
    if (value.is_object() && value.contains("as_int")) return integer(value["as_int"]);
    refuse_file(path_,
                "a size in it is not constant; export with static shapes (no dynamic_shapes)");
  }
  std::vector<std::int64_t> constant_integers(const json& value) const {
    std::vector<std::int64_t> result;
    if (list(value).size() > kMostListed) refuse_file(path_, "a list in its graph is too long");
    for (const json& item : value) result.push_back(constant_integer(item));
    return result;
  }

  void check_version(const json& model) const {
    const std::int64_t major = integer(at(at(model, "schema_version"), "major"));
    // 8 came with PyTorch 2.5; the names used here are the same since.
    if (major != 8) {
      refuse_file(path_,
                  fmt::format("was written with version {} of the format, known is 8; export "
                              "it again with PyTorch 2.13",
                              major));
    }
  }

  // ---- tensors ---------------------------------------------------------------------------------

  /// Tensors that one of the two lists names, by their names in the module.
  std::map<std::string, ConstantTensor> read_tensors(const std::string& folder) const {
    std::map<std::string, ConstantTensor> tensors;
    const std::string config = fmt::format("{}data/{}/model_{}_config.json", root_, folder, folder);
    if (archive_.find(config) == nullptr) return tensors;
    const json file = parse(config);
    const json& entries = at(file, "config");
    if (!entries.is_object()) refuse_file(path_, "its list of tensors is none");
    if (entries.size() > kMaxTensors) refuse_file(path_, "holds too many tensors");
    for (const auto& [name, entry] : entries.items()) {
      tensors.emplace(name, read_tensor(folder, name, entry));
    }
    return tensors;
  }

  ConstantTensor read_tensor(const std::string& folder, const std::string& name,
                             const json& entry) const {
    if (at(entry, "use_pickle") == true) {
      refuse_file(path_, fmt::format("tensor '{}' is pickled; export the network on a CPU",
                                     printable(name)));
    }
    const json& meta = at(entry, "tensor_meta");
    const std::int64_t type = integer(at(meta, "dtype"));
    const auto* known = std::ranges::find(kTypes, type, &std::pair<int, DType>::first);
    if (known == kTypes.end()) {
      refuse_file(path_, fmt::format("tensor '{}' is of type {}, which is not known",
                                     printable(name), type));
    }
    StoredTensor stored{.name = name, .dtype = known->second, .owner = owner_};
    stored.shape = constant_integers(at(meta, "sizes"));
    stored.stride = constant_integers(at(meta, "strides"));
    std::int64_t elements = 1;
    for (const std::int64_t size : stored.shape) {
      if (size < 0 || size > kMostElements || (elements *= size) > kMostElements) {
        refuse_file(path_, fmt::format("tensor '{}' is too large", printable(name)));
      }
    }
    const std::string raw =
        fmt::format("{}data/{}/{}", root_, folder, text(at(entry, "path_name")));
    const ByteView storage = archive_.data(raw);
    // A tensor that repeats its numbers may have more elements than bytes, but not without end.
    if (elements > 64 * static_cast<std::int64_t>(storage.size()) + 64) {
      refuse_file(path_,
                  fmt::format("tensor '{}' repeats too few numbers too often", printable(name)));
    }
    stored.data = tensor_bytes(storage, stored.dtype, constant_integer(at(meta, "storage_offset")),
                               stored.shape, stored.stride, path_, name);
    return {name, stored.shape, float_data(stored, path_)};
  }

  void read_inputs(const json& specs, const json& shapes) {
    std::map<std::string, ConstantTensor> tensors = read_tensors("weights");
    tensors.merge(read_tensors("constants"));
    for (const json& spec : specs) {
      if (spec.contains("user_input")) {
        read_user_input(at(at(spec, "user_input"), "arg"), shapes);
        continue;
      }
      bool found = false;
      for (const auto& [kind, name_key] :
           {std::pair{"parameter", "parameter_name"}, std::pair{"buffer", "buffer_name"},
            std::pair{"tensor_constant", "tensor_constant_name"}}) {
        if (!spec.contains(kind)) continue;
        const std::string name = text(at(at(spec, kind), name_key));
        const auto tensor = tensors.find(name);
        if (tensor == tensors.end()) {
          refuse_file(path_, fmt::format("holds no tensor '{}'", printable(name)));
        }
        program_.constants[text(at(at(at(spec, kind), "arg"), "name"))] = tensor->second;
        found = true;
      }
      if (!found) refuse_file(path_, "has an input that is neither clip nor tensor");
    }
    if (program_.input.empty()) refuse_file(path_, "has no input for a clip");
  }

  void read_user_input(const json& argument, const json& shapes) {
    if (!argument.contains("as_tensor")) return;  // a constant that was passed along
    if (!program_.input.empty()) {
      refuse_file(path_, "has more than one input; export a module that takes the clip alone");
    }
    program_.input = text(at(at(argument, "as_tensor"), "name"));
    program_.input_shape = constant_integers(at(at(shapes, program_.input.c_str()), "sizes"));
  }

  // ---- calls -----------------------------------------------------------------------------------

  Call read_call(const json& node) const {
    Call call;
    call.operation = text(at(node, "target"));
    constexpr std::string_view kPrefix = "torch.ops.";
    if (call.operation.starts_with(kPrefix)) call.operation.erase(0, kPrefix.size());
    // aten.mean.dim: the second dot begins the overload
    if (const auto dot = call.operation.find('.', call.operation.find('.') + 1);
        dot != std::string::npos) {
      call.operation.resize(dot);
    }
    for (const json& input : list(at(node, "inputs"))) {
      const std::string name = text(at(input, "name"));
      call.arguments[name] = read_argument(at(input, "arg"));
    }
    for (const json& output : list(at(node, "outputs"))) read_result(output, call.results);
    call.name = call.results.empty() ? call.operation : call.results.front();
    return call;
  }

  void read_result(const json& output, std::vector<std::string>& results) const {
    if (output.is_object() && output.contains("as_tensors")) {
      for (const json& tensor : list(output["as_tensors"])) {
        results.push_back(text(at(tensor, "name")));
      }
    } else if (output.is_object() && output.contains("as_tensor")) {
      results.push_back(text(at(output["as_tensor"], "name")));
    }
    if (results.size() > kMostListed) refuse_file(path_, "a call gives too many results");
  }

  Argument read_argument(const json& argument) const {
    if (!argument.is_object() || argument.size() != 1) {
      refuse_file(path_, "its graph has no argument where one belongs");
    }
    const std::string kind = argument.begin().key();
    const json& value = argument.begin().value();
    if (kind == "as_none") return std::monostate();
    if (kind == "as_tensor") return TensorName{text(at(value, "name"))};
    if (kind == "as_tensors" || kind == "as_optional_tensors") return read_names(value);
    if (kind == "as_optional_tensor") {
      if (!value.is_object() || !value.contains("as_tensor")) return std::monostate();
      return TensorName{text(at(value["as_tensor"], "name"))};
    }
    if (kind == "as_int" || kind == "as_sym_int" || kind == "as_scalar_type" ||
        kind == "as_memory_format" || kind == "as_layout") {
      return constant_integer(value);
    }
    if (kind == "as_ints" || kind == "as_sym_ints") return constant_integers(value);
    if (kind == "as_bool" && value.is_boolean()) return value.get<bool>();
    if (kind == "as_string") return text(value);
    if (kind == "as_float" && value.is_number()) return value.get<double>();
    if (kind == "as_floats") {
      std::vector<double> numbers;
      for (const json& item : list(value)) {
        if (!item.is_number()) refuse_file(path_, "its graph has no number where one belongs");
        numbers.push_back(item.get<double>());
      }
      return numbers;
    }
    if (kind == "as_device") return std::string("device");
    refuse_file(path_, fmt::format("an argument of kind '{}' is not known", printable(kind)));
  }

  std::vector<TensorName> read_names(const json& value) const {
    std::vector<TensorName> names;
    if (list(value).size() > kMostListed) refuse_file(path_, "a list in its graph is too long");
    for (const json& item : value) {
      if (item.is_object() && item.contains("as_none")) {
        names.emplace_back();
      } else if (item.is_object() && item.contains("as_tensor")) {
        names.push_back({text(at(item["as_tensor"], "name"))});
      } else {
        names.push_back({text(at(item, "name"))});
      }
    }
    return names;
  }

  ZipArchive archive_;
  std::shared_ptr<const void> owner_;
  std::string path_;
  std::string root_;   ///< folder of the archive that everything lies in
  std::string model_;  ///< entry of the graph
  ExportedProgram program_;
};

}  // namespace

std::int64_t ConstantTensor::elements() const {
  std::int64_t n = 1;
  for (const std::int64_t size : shape) n *= size;
  return n;
}

std::string Call::label() const {
  return fmt::format("node '{}' ({})", printable(name), printable(operation));
}

ExportedProgram parse_exported_program(std::span<const std::uint8_t> bytes,
                                       const std::shared_ptr<const void>& owner,
                                       const std::string& path) {
  return ProgramReader(bytes, owner, path).read();
}

ExportedProgram read_exported_program(const std::string& path) {
  const auto file = std::make_shared<const MappedFile>(path);
  if (!as_text(file->bytes()).starts_with("PK\x03\x04")) {
    refuse_file(path, "is no archive of torch.export.save: it does not begin as a zip archive");
  }
  return parse_exported_program(file->bytes(), file, path);
}

}  // namespace cfp
