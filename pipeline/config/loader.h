// From a config file and command-line overrides to values that can be relied on.
//
//   const ConfigValues values = load_config("configs/demo.yaml", {"runtime.batch_size=2"});
//   values.integer("runtime.batch_size");    // 2
//   values.origin("runtime.batch_size");     // command line
//
// Order, later wins: defaults of the schema, the files of `_base_`, the file itself, overrides.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "pipeline/config/config_tree.h"
#include "pipeline/config/schema.h"

namespace cfp {

/// All keys of the schema with a checked value each.
class ConfigValues {
 public:
  /// @param tree   merged and substituted
  /// @param sweep  what sweep() gives
  /// @throws ConfigError something in it does not fit the schema; all problems at once
  explicit ConfigValues(const ConfigTree& tree, ConfigTree sweep = {});

  const ConfigTree& tree(std::string_view path) const { return at(path).value; }
  /// @return where the value comes from: `file:line:column`, `command line`, `default`, …
  std::string origin(std::string_view path) const { return at(path).origin; }
  bool is_set(std::string_view path) const { return !tree(path).is_null(); }
  bool is_word(std::string_view path, std::string_view word) const;
  bool is_list(std::string_view path) const;

  bool boolean(std::string_view path) const;
  std::int64_t integer(std::string_view path) const;
  double real(std::string_view path) const;
  std::string text(std::string_view path) const;
  std::vector<std::string> texts(std::string_view path) const;
  std::vector<double> reals(std::string_view path) const;

  /// @return the section `sweep`, unchecked (pipeline/sweep); null where there is none
  const ConfigTree& sweep() const { return sweep_; }

  /// Puts in what became known later, such as a step of the checkpoint's preset.
  void set(std::string_view path, const std::string& yaml, const std::string& origin);

  /// @throws ConfigError always: `position: key: reason`
  [[noreturn]] void fail(std::string_view path, std::string_view reason) const;

  /// @return the whole config as YAML, each line with a comment that says where its value came from
  std::string to_yaml() const;

  /// FNV-1a over the keys that change results, and their values.
  std::uint64_t results_hash() const;

 private:
  struct Value {
    ConfigTree value;
    std::string origin;
  };
  const Value& at(std::string_view path) const;
  const std::string& scalar(std::string_view path) const;

  std::map<std::string, Value, std::less<>> values_;
  ConfigTree sweep_;
};

/// Reads a config with its bases, lays the overrides on it, substitutes, and checks it.
/// @param overrides  `section.key=value`
/// @throws ConfigError a file is not there, not YAML, in a cycle of bases, or says what it may not
ConfigValues load_config(const std::filesystem::path& file,
                         const std::vector<std::string>& overrides = {});

/// The same for YAML in memory; `_base_` is relative to the current folder.
ConfigValues load_config_text(const std::string& text, const std::string& source,
                              const std::vector<std::string>& overrides = {});

/// Reads what ConfigValues::to_yaml() wrote, in which nothing is to be substituted again.
/// @throws ConfigError it is not one of this version
ConfigValues load_stored_config(const std::string& yaml, const std::string& source);

}  // namespace cfp
