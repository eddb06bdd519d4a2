// YAML text to a ConfigTree, with the strictness that a config needs.
//
// Duplicate keys, tags, several documents, invalid UTF-8 and control characters are errors; size,
// nesting and what aliases expand to are bounded, so that no file can hang or fill the machine.
#pragma once

#include <filesystem>
#include <string>

#include "pipeline/config/config_tree.h"

namespace cfp {

/// Reads a whole YAML file.
/// @throws ConfigError it cannot be read or is not YAML that a config may use; names the position
ConfigTree read_yaml_file(const std::filesystem::path& path);

/// Reads YAML from memory.
/// @param source  name for positions
/// @throws ConfigError as read_yaml_file()
ConfigTree read_yaml_text(const std::string& text, const std::string& source);

/// Reads the value of a `key=value` override: YAML in brackets, braces or quotes, else plain text.
///
/// Plain text is taken as it stands, so that a path with `#` or `: ` needs no quotes.
/// @throws ConfigError as read_yaml_file()
ConfigTree read_override_value(const std::string& text);

}  // namespace cfp
