// The functions and classes that a checkpoint's pickle may name, and what each means to us.
#pragma once

#include <optional>
#include <string_view>

#include "stages/network/checkpoint/checkpoint.h"

namespace cfp {

/// What calling a global of the allow-list yields.
enum class GlobalRole {
  kOrderedDict,       ///< an empty dict, or one of the pairs that Python 2 passes
  kRebuildTensorV2,   ///< tensor of (storage, offset, shape, stride, requires_grad, hooks)
  kRebuildTensor,     ///< tensor of (storage, offset, shape, stride)
  kRebuildParameter,  ///< its first argument
  kSize,              ///< its argument, a tuple
  kStorage,           ///< never called: names the type of a storage
  kSkipped,           ///< something nobody here needs; its arguments are ignored
};

struct AllowedGlobal {
  std::string_view module, name;
  GlobalRole role = GlobalRole::kSkipped;
  DType dtype = DType::kFloat32;  ///< of kStorage
};

/// @return the position in the allow-list, or nothing where the global is forbidden
std::optional<int> find_allowed_global(std::string_view module, std::string_view name);

/// @return the entry at a position that find_allowed_global() gave
const AllowedGlobal& allowed_global(int index);

}  // namespace cfp
