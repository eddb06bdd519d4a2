// Names of files made of names that nobody checked: clip ids, layers.
#pragma once

#include <string>
#include <string_view>

namespace cfp {

/// Turns any text into the name of one file or folder: `rotate/0003.mp4` into `rotate+0003.mp4`.
///
/// A `/` becomes `+`; letters, digits, `.`, `-` and `_` of ASCII stay, but for a dot at the start.
/// Anything else becomes `_`; then, and where the text is empty or longer than 100 bytes and cut, a
/// hash of the whole text follows, so that two texts do not get one name.
std::string safe_file_name(std::string_view text);

}  // namespace cfp
