// Checks a merged config tree against the schema.
#pragma once

#include "pipeline/config/config_tree.h"
#include "pipeline/config/schema.h"

namespace cfp {

/// Finds unknown keys, values of the wrong type and values out of range.
void check_against_schema(const ConfigTree& tree, ConfigProblems& problems);

/// Checks one value.
/// @return the reason why it is not accepted; empty where it is
std::string why_not_accepted(const KeySpec& key, const ConfigTree& value);

}  // namespace cfp
