// The one list of everything that a config may say.
//
// From it come validation (validator.h), defaults (loader.h), the reference page of all keys and
// the JSON Schema (documentation.h). A new option is a new entry in schema_table.cpp and a line in
// options.cpp that puts it into its struct.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace cfp {

/// What a scalar may look like.
enum class ValueKind { kBoolean, kInteger, kReal, kText };

/// One key of the config.
struct KeySpec {
  std::string path;                ///< `section.key`
  std::vector<ValueKind> kinds;    ///< scalars that are accepted, beside `words`
  std::vector<std::string> words;  ///< words that are accepted, with a meaning of their own
  std::vector<ValueKind> list_of;  ///< lists of these are accepted; empty: no list
  std::size_t list_min = 0;        ///< least length of a list
  std::size_t list_max = 1000;     ///< greatest length of a list
  std::string default_yaml;        ///< as it would be written; `null`: may stay unset
  bool required = false;           ///< has no default
  std::optional<double> minimum;   ///< of numbers, also in lists
  bool above_minimum = false;      ///< the minimum itself is not allowed
  std::optional<double> maximum;   ///< of numbers, also in lists
  std::string unit;                ///< `pixels`, `seconds`, …; empty: a plain number or word
  std::string only_with;           ///< dataset types that have the key, `folder list`; empty: all
  bool changes_results = true;     ///< false: how fast or where, never what
  std::string meaning;             ///< one sentence

  /// @return whether scalars of this kind are accepted
  bool accepts(ValueKind kind) const;
  /// @return whether data sets of this type have the key
  bool belongs_to(std::string_view dataset_type) const;
};

/// A heading of the config with a sentence about it.
struct SectionSpec {
  std::string name;
  std::string meaning;
};

/// @return the sections in the order of the reference page; keys of the top level have section ""
const std::vector<SectionSpec>& config_sections();

/// @return all keys, section by section
const std::vector<KeySpec>& config_schema();

/// @return the key at `path`, or null
const KeySpec* find_key(std::string_view path);

/// @return the last part of a key's path: `crop` of `preprocess.crop`
std::string_view leaf_name(std::string_view path);

/// @return the section of a key's path: `preprocess` of `preprocess.crop`, empty at the top level
std::string_view section_name(std::string_view path);

/// @return what a key accepts, in words: `integer from 1 to 64, or auto`
std::string describe_accepted(const KeySpec& key);

}  // namespace cfp
