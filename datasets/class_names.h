// Names of classes: reading lists of them, and finding one list's classes in another.
//
// The order of labels is a property of the checkpoint, not of the data set: the labels of a data
// set are joined to a network's classes by name, never by number.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace cfp {

/// Highest label that a list may give; beyond it a file is refused instead of memory being filled.
inline constexpr int kMaxLabel = 999'999;

/// What two spellings of a class have in common: lower case (ASCII), `_` as a blank, runs of blanks
/// as one, none at the ends, no `"`. For comparing names, never for paths.
std::string normalise_class_name(std::string_view name);

/// Reads class names in the order of the labels, in the forms that data sets have them.
///
/// One name a line; or `1 ApplyEyeMakeup`, `0,abseiling` or `Open fridge 2` a line, where the
/// numbers count from 0 or 1, in any order, and a first line such as `id,name` is passed over; or a
/// CSV with columns `id`, `verb_id` or `noun_id` and `key` or
/// `class_key`, with ids from 0 in any order.
/// @throws ConfigError `file:line: why`: an empty line between names, two names that normalise
///         alike, an id that is missing or there twice
std::vector<std::string> read_class_list(const std::filesystem::path& path);

/// Finds classes by normalised name.
class ClassIndex {
 public:
  /// @param what  whose names they are, for errors
  /// @throws ConfigError two names normalise alike
  ClassIndex(const std::vector<std::string>& names, std::string_view what);

  /// @return the label of the name; absent where no class is called so
  std::optional<int> find(std::string_view name) const;
  /// @return ` (did you mean '…'?)` with the class of nearest spelling; empty where none is near
  std::string suggestion(std::string_view name) const;

 private:
  std::vector<std::string> names_;
  std::unordered_map<std::string, int> label_of_;
};

/// Finds each class of `wanted` among `known` by normalised name.
///
/// @param what  who asks, for the error: `classes of the data set`
/// @return      for each of `wanted` its index in `known`
/// @throws ConfigError a name has no counterpart (they are listed, up to 500, with near ones), or
///         two names of one list normalise alike
std::vector<int> join_class_names(const std::vector<std::string>& wanted,
                                  const std::vector<std::string>& known, std::string_view what);

}  // namespace cfp
