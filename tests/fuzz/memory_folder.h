// A folder in memory, for readers that take files and not bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

namespace cfp::fuzz {

/// @return a folder of this process alone, empty at first; it stays behind
inline const std::filesystem::path& memory_folder() {
  static const std::filesystem::path made = [] {
    std::string name = "/dev/shm/cfp-fuzz-XXXXXX";
    if (mkdtemp(name.data()) == nullptr) std::abort();
    return std::filesystem::path(name);
  }();
  return made;
}

inline void write(const std::filesystem::path& file, std::string_view bytes) {
  std::ofstream(file, std::ios::binary)
      .write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

inline std::string_view as_text(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

}  // namespace cfp::fuzz
