// The small JSON files that runs leave in their folders, and lines of their logs, read whoever may
// have written them.
//
//   const JsonRecord end = JsonRecord::of_file(folder / "run.json");
//   const std::int64_t rows = end.count("asked");
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

namespace cfp {

/// One JSON object whose fields have the types that are asked for.
class JsonRecord {
 public:
  /// Much more than a record has, be it with a whole config in it.
  static constexpr std::size_t kMaxBytes = 16 << 20;
  /// No data set has as many rows; counts up to here can be added and multiplied by shards.
  static constexpr std::int64_t kMaxCount = 1'000'000'000'000;

  /// @param source  where the text is from, for messages
  /// @throws SystemError it is no JSON object
  JsonRecord(std::string_view text, std::string source);
  /// @throws SystemError the file cannot be read, or is no JSON object of at most kMaxBytes
  static JsonRecord of_file(const std::filesystem::path& path);
  ~JsonRecord();

  /// @return 0 to kMaxCount
  /// @throws SystemError there is no such field, or it is something else; so of all that follow
  std::int64_t count(const char* field) const;
  std::int64_t integer(const char* field) const;
  double real(const char* field) const;
  bool boolean(const char* field) const;
  std::string text(const char* field) const;

 private:
  [[noreturn]] void fail(const char* field, std::string_view wanted) const;
  const nlohmann::json* find(const char* field) const;

  std::string source_;
  std::unique_ptr<const nlohmann::json> object_;
};

}  // namespace cfp
