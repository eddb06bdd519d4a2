#include "stages/network/checkpoint/torch_file.h"

#include <algorithm>
#include <array>
#include <map>
#include <set>

#include <fmt/format.h>

#include "stages/network/checkpoint/pickle.h"
#include "stages/network/checkpoint/state_dict.h"
#include "stages/network/checkpoint/zip_archive.h"

namespace cfp {
namespace {

/// The number that a legacy file begins with, 0x1950a86a20f9469cfc6c.
constexpr std::array<std::uint8_t, 10> kLegacyMagic{0x6C, 0xFC, 0x9C, 0x46, 0xF9,
                                                    0x20, 0x6A, 0xA8, 0x50, 0x19};
constexpr std::int64_t kLegacyVersion = 1001;

/// Storages by key, as the pickle describes them.
std::map<std::string_view, PickleStorage> storages_of(const Pickle& pickle,
                                                      const std::string& file) {
  std::map<std::string_view, PickleStorage> storages;
  for (const PickleValue& value : pickle.values) {
    const auto* storage = std::get_if<PickleStorage>(&value);
    if (storage == nullptr) continue;
    const auto [found, fresh] = storages.emplace(storage->key, *storage);
    const PickleStorage& first = found->second;
    if (!fresh && (first.dtype != storage->dtype || first.elements != storage->elements)) {
      refuse_file(file, fmt::format("describes the storage '{}' in two ways: {} x {} and {} x {}",
                                    printable(storage->key), first.elements, to_string(first.dtype),
                                    storage->elements, to_string(storage->dtype)));
    }
  }
  return storages;
}

class LegacyFile {
 public:
  explicit LegacyFile(const std::shared_ptr<const MappedFile>& file)
      : file_(file), rest_(file->bytes()) {}

  Checkpoint read() {
    check_header();
    const Pickle object = next_pickle();
    read_storages(storages_of(object, name()), next_pickle());
    const auto resolve = [this](const PickleStorage& storage) {
      const auto found = data_.find(storage.key);
      if (found == data_.end()) {
        refuse_file(name(),
                    fmt::format("has no data for the storage '{}'; the file is truncated or "
                                "damaged",
                                printable(storage.key)));
      }
      return found->second;
    };
    Checkpoint checkpoint = collect_state_dict(object, resolve, file_, name());
    checkpoint.format = "legacy .pth";
    return checkpoint;
  }

 private:
  const std::string& name() const { return file_->name(); }

  Pickle next_pickle() {
    Pickle pickle = read_pickle(rest_, name());
    rest_ = rest_.subspan(pickle.bytes_used);
    return pickle;
  }

  void check_header() {
    const Pickle magic = next_pickle();
    const auto* number = magic.as<PickleBigInteger>(magic.root);
    if (number == nullptr || !std::ranges::equal(number->bytes, kLegacyMagic)) {
      refuse_file(name(), "is a Python pickle, but not one that torch.save wrote");
    }
    const Pickle version = next_pickle();
    const auto* version_number = version.as<std::int64_t>(version.root);
    if (version_number == nullptr || *version_number != kLegacyVersion) {
      refuse_file(name(),
                  fmt::format("is a legacy torch file of another version than {}", kLegacyVersion));
    }
    const Pickle system = next_pickle();
    const auto* facts = system.as<PickleDict>(system.root);
    if (facts == nullptr) refuse_file(name(), "does not say which machine wrote it");
    const std::optional<PickleId> order = system.find(*facts, "little_endian");
    const auto* little = order ? system.as<bool>(*order) : nullptr;
    if (little == nullptr || !*little) {
      refuse_file(name(),
                  "was written by a big-endian machine; load it there with Python and save "
                  "it as safetensors");
    }
  }

  /// Storages lie behind the last pickle in the order of their keys: int64 elements, then data.
  void read_storages(const std::map<std::string_view, PickleStorage>& known, const Pickle& order) {
    const auto* keys = order.as<PickleSequence>(order.root);
    if (keys == nullptr) refuse_file(name(), "has no list of its storages");
    ByteReader reader(rest_, name());
    for (const PickleId id : keys->items) {
      const auto* key = order.as<std::string_view>(id);
      const auto storage = key == nullptr ? known.end() : known.find(*key);
      if (storage == known.end()) {
        refuse_file(name(), fmt::format("lists a storage '{}' that no tensor has",
                                        key == nullptr ? "?" : printable(*key)));
      }
      const std::string what = fmt::format("storage '{}'", printable(*key));
      const std::uint64_t elements = reader.u64(what);
      if (elements != static_cast<std::uint64_t>(storage->second.elements)) {
        refuse_file(name(), fmt::format("{} has {} elements where {} were announced", what,
                                        elements, storage->second.elements));
      }
      std::uint64_t size = 0;
      if (__builtin_mul_overflow(elements, size_of(storage->second.dtype), &size)) {
        refuse_file(name(), fmt::format("{} has {} elements, which no file holds", what, elements));
      }
      if (!data_.emplace(storage->first, reader.take(size, what)).second) {
        refuse_file(name(), fmt::format("{} is listed twice", what));
      }
    }
  }

  std::shared_ptr<const MappedFile> file_;
  ByteView rest_;
  std::map<std::string_view, ByteView> data_;
};

/// @return the folder inside the archive that holds `data.pkl`, with its slash
std::string zip_folder(const ZipArchive& archive, const std::string& file) {
  constexpr std::string_view kPickle = "data.pkl";
  std::vector<std::string_view> folders;
  bool script = false;
  bool exported = false;
  for (const ZipEntry& entry : archive.entries()) {
    script |= entry.name.ends_with("constants.pkl") || entry.name.find("/code/") != entry.name.npos;
    exported |= entry.name.find("models/") != entry.name.npos && entry.name.ends_with(".json");
    if (entry.name == kPickle || entry.name.ends_with("/data.pkl")) {
      folders.push_back(entry.name.substr(0, entry.name.size() - kPickle.size()));
    }
  }
  if (script) {
    refuse_file(file,
                "is a TorchScript archive, which holds code; load it in Python with "
                "torch.jit.load and save its state_dict()");
  }
  if (exported) {
    refuse_file(file, "is a torch.export archive (.pt2), not a checkpoint; save the state_dict()");
  }
  if (folders.size() != 1) {
    refuse_file(file, fmt::format("is a zip archive with {} entries called data.pkl; torch.save "
                                  "writes one, so it is something else",
                                  folders.size()));
  }
  return std::string(folders.front());
}

}  // namespace

Checkpoint read_legacy_torch_file(const std::shared_ptr<const MappedFile>& file) {
  return LegacyFile(file).read();
}

Checkpoint read_zip_torch_file(const std::shared_ptr<const MappedFile>& file) {
  const std::string& name = file->name();
  const ZipArchive archive(file->bytes(), name);
  const std::string folder = zip_folder(archive, name);
  if (archive.find(folder + "byteorder") != nullptr &&
      as_text(archive.data(folder + "byteorder")) != "little") {
    refuse_file(name,
                "was written by a big-endian machine; load it there with Python and save it "
                "as safetensors");
  }
  const ByteView pickle_bytes = archive.data(folder + "data.pkl");
  if (pickle_bytes.size() > kMaxPickleBytes) {
    refuse_file(name, fmt::format("its data.pkl has {} bytes, more than {}", pickle_bytes.size(),
                                  kMaxPickleBytes));
  }
  const Pickle pickle = read_pickle(pickle_bytes, name);
  storages_of(pickle, name);
  // Several tensors may share a storage, whose checksum need be computed but once.
  std::map<std::string_view, ByteView> seen;
  const auto resolve = [&](const PickleStorage& storage) {
    if (const auto found = seen.find(storage.key); found != seen.end()) return found->second;
    const std::string key = folder + "data/" + std::string(storage.key);
    const ByteView bytes = archive.data(key);
    std::uint64_t size = 0;
    if (__builtin_mul_overflow(static_cast<std::uint64_t>(storage.elements), size_of(storage.dtype),
                               &size) ||
        size != bytes.size()) {
      refuse_file(name, fmt::format("zip entry '{}' has {} bytes where {} elements of {} were "
                                    "announced",
                                    printable(key), bytes.size(), storage.elements,
                                    to_string(storage.dtype)));
    }
    seen.emplace(storage.key, bytes);
    return bytes;
  };
  Checkpoint checkpoint = collect_state_dict(pickle, resolve, file, name);
  checkpoint.format = "zip .pth";
  return checkpoint;
}

}  // namespace cfp
