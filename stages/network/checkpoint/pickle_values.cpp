#include <fmt/format.h>

#include "stages/network/checkpoint/pickle.h"

namespace cfp {

std::optional<PickleId> Pickle::find(const PickleDict& dict, std::string_view key) const {
  std::optional<PickleId> found;
  for (const auto& [key_id, value_id] : dict.items) {
    const auto* text = as<std::string_view>(key_id);
    if (text != nullptr && *text == key) found = value_id;
  }
  return found;
}

std::vector<std::int64_t> Pickle::integers(PickleId id, std::string_view file,
                                           std::string_view what) const {
  const auto* sequence = as<PickleSequence>(id);
  if (sequence == nullptr) refuse_file(file, fmt::format("{} is no tuple", what));
  if (sequence->items.size() > kMaxAxes) {
    refuse_file(file, fmt::format("{} has {} numbers, more than {}", what, sequence->items.size(),
                                  kMaxAxes));
  }
  std::vector<std::int64_t> numbers;
  for (const PickleId item : sequence->items) {
    const auto* number = as<std::int64_t>(item);
    if (number == nullptr) refuse_file(file, fmt::format("{} holds no integers", what));
    numbers.push_back(*number);
  }
  return numbers;
}

}  // namespace cfp
