// Words of a command line, so that a shell reads them as they are.
//
//   script += "cd " + shell_word(folder.string());
#pragma once

#include <string>
#include <string_view>

namespace cfp {

/// @return the word as a POSIX shell reads it back, whatever is in it: as it is where nothing in it
///         means anything to a shell, else in single quotes
std::string shell_word(std::string_view word);

}  // namespace cfp
