// What a text file that lists clips says, line by line; list_dataset.h has the forms.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace cfp {

/// One clip as the list has it.
struct ListEntry {
  std::int64_t line = 0;
  std::string clip_id;  ///< empty where the list gives none
  std::string path;
  std::optional<double> start_s, end_s;
  std::string label;                     ///< number or name; empty: none
  std::optional<std::int64_t> pictures;  ///< `path` is a folder of so many pictures
};

struct ClipList {
  std::string file;
  std::vector<ListEntry> entries;
  std::string form;  ///< in words, for the provenance

  /// @throws ConfigError always: `file:line: why`
  [[noreturn]] void fail(const ListEntry& entry, const std::string& why) const;
};

/// Reads a list of at least one clip.
/// @throws ConfigError `file:line: why`
ClipList read_list(const std::string& file);

}  // namespace cfp
