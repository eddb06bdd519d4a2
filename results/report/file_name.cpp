#include "results/report/file_name.h"

#include <cstdint>

#include <fmt/format.h>

#include "stages/core/formula.h"

namespace cfp {
namespace {

/// Leaves room for the hash and for endings within the 255 bytes that a name may have.
constexpr std::size_t kLongest = 100;

bool is_plain(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
         c == '-' || c == '_';
}

}  // namespace

std::string safe_file_name(std::string_view text) {
  std::string name;
  bool changed = text.empty() || text.size() > kLongest;
  for (const char c : text.substr(0, kLongest)) {
    if (c == '/' && !name.empty()) {
      name += '+';
    } else if (is_plain(c) && !(c == '.' && name.empty())) {
      name += c;
    } else {
      name += '_';
      changed = true;
    }
  }
  if (changed) name += fmt::format("-{:08x}", static_cast<std::uint32_t>(fnv1a64(text)));
  return name;
}

}  // namespace cfp
