// What the schema says, for people and for editors.
#pragma once

#include <string>

namespace cfp {

/// @return docs/configuration.md: a table for each section
std::string config_reference_markdown();

/// @return a JSON Schema (2020-12) of a config file, `_base_` included
std::string config_json_schema();

}  // namespace cfp
