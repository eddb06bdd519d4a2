#include "stages/network/checkpoint/state_dict.h"

#include <algorithm>
#include <array>
#include <set>

#include <fmt/format.h>

namespace cfp {
namespace {

constexpr std::array<std::string_view, 5> kWrappers{"state_dict", "model", "model_state",
                                                    "model_state_dict", "net"};
constexpr int kMostWrappers = 4;
constexpr std::size_t kMostMetadata = 64;

/// Keeps numbers and short texts such as `epoch` and `arch`.
void keep_scalars(const Pickle& pickle, const PickleDict& dict, Checkpoint& checkpoint) {
  for (const auto& [key_id, value_id] : dict.items) {
    if (checkpoint.metadata.size() >= kMostMetadata) return;
    const auto* key = pickle.as<std::string_view>(key_id);
    if (key == nullptr) continue;
    std::string text;
    if (const auto* number = pickle.as<std::int64_t>(value_id)) {
      text = std::to_string(*number);
    } else if (const auto* real = pickle.as<double>(value_id)) {
      text = fmt::format("{}", *real);
    } else if (const auto* words = pickle.as<std::string_view>(value_id)) {
      text = printable(*words);
    } else {
      continue;
    }
    checkpoint.metadata.emplace(printable(*key), std::move(text));
  }
}

/// Goes down through `state_dict` and its like; stops where there is nothing further to go down to.
const PickleDict& find_weights(const Pickle& pickle, const std::string& file,
                               Checkpoint& checkpoint) {
  const auto* dict = pickle.as<PickleDict>(pickle.root);
  if (dict == nullptr) {
    refuse_file(file, pickle.as<PickleTensor>(pickle.root) != nullptr
                          ? "holds one tensor, not a dictionary of weights"
                          : "holds no dictionary, so no weights by name");
  }
  for (int level = 0; level < kMostWrappers; ++level) {
    keep_scalars(pickle, *dict, checkpoint);
    const PickleDict* inner = nullptr;
    for (const std::string_view wrapper : kWrappers) {
      const std::optional<PickleId> value = pickle.find(*dict, wrapper);
      if (value) inner = pickle.as<PickleDict>(*value);
      if (inner != nullptr) break;
    }
    if (inner == nullptr) break;
    dict = inner;
  }
  return *dict;
}

StoredTensor make_tensor(const Pickle& pickle, std::string_view name, const PickleTensor& tensor,
                         const StorageResolver& resolve, const std::shared_ptr<const void>& owner,
                         const std::string& file) {
  const auto& storage = std::get<PickleStorage>(pickle.values.at(tensor.storage));
  StoredTensor stored;
  stored.name = name;
  stored.dtype = storage.dtype;
  const std::string what = fmt::format("tensor '{}'", printable(name));
  stored.shape = pickle.integers(tensor.shape, file, what + ": its shape");
  stored.stride = pickle.integers(tensor.stride, file, what + ": its stride");
  std::int64_t offset = 0;
  if (__builtin_add_overflow(tensor.offset, storage.view_offset, &offset)) {
    refuse_file(file, what + ": its offset is out of range");
  }
  stored.data =
      tensor_bytes(resolve(storage), stored.dtype, offset, stored.shape, stored.stride, file, name);
  stored.owner = owner;
  return stored;
}

}  // namespace

Checkpoint collect_state_dict(const Pickle& pickle, const StorageResolver& resolve,
                              const std::shared_ptr<const void>& owner, const std::string& file) {
  Checkpoint checkpoint;
  checkpoint.path = file;
  std::set<std::string_view> names;
  for (const auto& [key_id, value_id] : find_weights(pickle, file, checkpoint).items) {
    const auto* tensor = pickle.as<PickleTensor>(value_id);
    if (tensor == nullptr) continue;
    const auto* name = pickle.as<std::string_view>(key_id);
    if (name == nullptr) refuse_file(file, "holds a tensor whose name is no text");
    if (!names.insert(*name).second) {
      refuse_file(file, fmt::format("holds the tensor '{}' twice", printable(*name)));
    }
    if (names.size() > kMaxTensors) {
      refuse_file(file, fmt::format("holds more than {} tensors", kMaxTensors));
    }
    checkpoint.tensors.push_back(make_tensor(pickle, *name, *tensor, resolve, owner, file));
  }
  if (checkpoint.tensors.empty()) {
    refuse_file(file,
                "holds no tensors, neither at its top nor under state_dict, model, "
                "model_state, model_state_dict or net");
  }
  return checkpoint;
}

}  // namespace cfp
