// A YAML document as the config reader sees it: every value knows where it was written.
//
// Made by yaml_reader.h, merged by loader.h, checked by validator.h. Free of yaml-cpp's headers.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace cfp {

/// Where a value was written.
struct SourcePosition {
  std::shared_ptr<const std::string> source;  ///< file name, or `command line`; null: nowhere
  int line = 0;                               ///< from 1; 0: the source has no lines
  int column = 0;                             ///< from 1

  /// @return `file:line:column`, or the source alone where it has no lines
  std::string to_string() const;
};

/// One YAML value. Maps keep the order in which they were written.
struct ConfigTree {
  enum class Kind { kNull, kScalar, kList, kMap };
  struct Entry;

  Kind kind = Kind::kNull;
  SourcePosition where;
  std::string scalar;             ///< for kScalar
  bool quoted = false;            ///< a quoted scalar is text, whatever it looks like
  std::vector<ConfigTree> items;  ///< for kList
  std::vector<Entry> entries;     ///< for kMap

  bool is_map() const { return kind == Kind::kMap; }
  bool is_null() const { return kind == Kind::kNull; }
  /// @return the value of a map's key, or null
  const ConfigTree* find(std::string_view key) const;
  ConfigTree* find(std::string_view key);
  /// @return the value at `a.b.c`, or null
  const ConfigTree* find_path(std::string_view path) const;
};

struct ConfigTree::Entry {
  std::string key;
  SourcePosition where;  ///< of the key
  ConfigTree value;
};

/// Lays `over` on `under`: maps merge key by key, everything else replaces.
void merge_trees(ConfigTree& under, ConfigTree over);

/// @return the tree as one line of YAML: scalars quoted where they must be, lists in brackets
std::string to_flow_yaml(const ConfigTree& tree);

/// @return a YAML scalar that reads back as exactly this text
std::string quote_yaml_text(std::string_view text);

/// Problems of a config, gathered so that the user sees them all at once.
class ConfigProblems {
 public:
  void add(const SourcePosition& where, std::string_view key, std::string_view reason);
  bool empty() const { return lines_.empty(); }
  /// @throws ConfigError if there is any problem: one line each, `file:line:column: key: reason`
  void throw_if_any() const;

 private:
  std::vector<std::string> lines_;
};

}  // namespace cfp
