// Names of a network's classes from a text file.
#pragma once

#include <string>
#include <vector>

namespace cfp {

/// Reads class names in the order of the logits.
///
/// One name a line; or, on every line, an index and the name behind it (`0 abseiling`,
/// `1,ApplyEyeMakeup`), in any order, counted from 0 or from 1, where a first line such as
/// `id,name` is passed over. Quotes around a name are taken off.
///
/// @throws ConfigError cannot be read, is empty, holds a blank line or a name twice; names the line
std::vector<std::string> read_class_names(const std::string& path);

}  // namespace cfp
