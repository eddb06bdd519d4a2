#include "stages/network/checkpoint/pickle_globals.h"

#include <algorithm>
#include <array>

namespace cfp {
namespace {

constexpr auto kAllowed = std::to_array<AllowedGlobal>({
    {"collections", "OrderedDict", GlobalRole::kOrderedDict},
    {"torch._utils", "_rebuild_tensor_v2", GlobalRole::kRebuildTensorV2},
    {"torch._utils", "_rebuild_tensor", GlobalRole::kRebuildTensor},
    {"torch._utils", "_rebuild_parameter", GlobalRole::kRebuildParameter},
    {"torch", "Size", GlobalRole::kSize},
    {"torch", "FloatStorage", GlobalRole::kStorage, DType::kFloat32},
    {"torch", "DoubleStorage", GlobalRole::kStorage, DType::kFloat64},
    {"torch", "HalfStorage", GlobalRole::kStorage, DType::kFloat16},
    {"torch", "BFloat16Storage", GlobalRole::kStorage, DType::kBFloat16},
    {"torch", "LongStorage", GlobalRole::kStorage, DType::kInt64},
    {"torch", "IntStorage", GlobalRole::kStorage, DType::kInt32},
    {"torch", "ShortStorage", GlobalRole::kStorage, DType::kInt16},
    {"torch", "CharStorage", GlobalRole::kStorage, DType::kInt8},
    {"torch", "ByteStorage", GlobalRole::kStorage, DType::kUInt8},
    {"torch", "BoolStorage", GlobalRole::kStorage, DType::kBool},
    // What stands beside the weights in real files: a best accuracy as a numpy number, and the
    // milestones of a learning-rate schedule.
    {"numpy.core.multiarray", "scalar", GlobalRole::kSkipped},
    {"numpy._core.multiarray", "scalar", GlobalRole::kSkipped},
    {"numpy", "dtype", GlobalRole::kSkipped},
    {"_codecs", "encode", GlobalRole::kSkipped},
    {"collections", "Counter", GlobalRole::kSkipped},
});

}  // namespace

std::optional<int> find_allowed_global(std::string_view module, std::string_view name) {
  // Storages saved from a GPU differ by their module alone.
  if (module == "torch.cuda" && name.ends_with("Storage")) module = "torch";
  const auto found = std::ranges::find_if(kAllowed, [&](const AllowedGlobal& allowed) {
    return allowed.module == module && allowed.name == name;
  });
  if (found == kAllowed.end()) return std::nullopt;
  return static_cast<int>(found - kAllowed.begin());
}

const AllowedGlobal& allowed_global(int index) {
  return kAllowed.at(static_cast<std::size_t>(index));
}

}  // namespace cfp
