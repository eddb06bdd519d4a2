// How a plain YAML scalar is read: strictly, so that a typing error is an error.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace cfp {

/// @return true for `true`, false for `false`, nothing for anything else (`yes`, `on`, `True`)
std::optional<bool> scalar_to_boolean(std::string_view text);

/// @return a decimal integer that fits 64 bits, the whole text
std::optional<std::int64_t> scalar_to_integer(std::string_view text);

/// @return a finite decimal number, the whole text; integers are numbers too
std::optional<double> scalar_to_real(std::string_view text);

/// @return whether YAML reads the plain text as "no value": empty, `~`, `null`, `Null`, `NULL`
bool looks_like_null(std::string_view text);

/// @return whether the text is valid UTF-8 without control characters (tabs and line ends are)
bool is_clean_text(std::string_view text);

/// @return the candidate that `word` was probably meant to be; empty where none is close
std::string nearest_word(std::string_view word, const std::vector<std::string>& candidates);

/// @return ` (did you mean 'x'?)`, or nothing
std::string did_you_mean(std::string_view word, const std::vector<std::string>& candidates);

}  // namespace cfp
