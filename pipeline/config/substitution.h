// `${…}` in the text of a config.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "pipeline/config/config_tree.h"

namespace cfp {

/// @return the text with `$${` for each `${`: it stands for what it is
std::string without_substitution(std::string_view text);

/// Replaces `${name}` for the given names alone, everywhere in the tree.
void substitute_builtins(ConfigTree& tree, const std::map<std::string, std::string>& values);

/// Replaces `${section.key}` by that key's value, everywhere in the tree; `$${` becomes `${`.
///
/// A key that is not there, is no scalar, names itself in the end, or grows without bound is a
/// problem, and so is a `${` without its `}`; the text is then left as it is.
void substitute_keys(ConfigTree& tree, ConfigProblems& problems);

}  // namespace cfp
