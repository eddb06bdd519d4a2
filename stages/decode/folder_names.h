// The names in a folder of pictures or of pieces; for the sources of this folder alone.
#pragma once

#include <functional>
#include <string>
#include <string_view>

namespace cfp {

/// @throws DataError `missing` there is nothing of that name; `unreadable` it is no folder, or may
///                   not be looked at
void check_folder(const std::string& path);

/// Calls `use` for each name in a folder, in no order, keeping none.
/// @throws DataError `unreadable` the folder may not be listed; what `use` throws
void for_each_name(const std::string& folder, const std::function<void(std::string_view)>& use);

}  // namespace cfp
