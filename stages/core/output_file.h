// Files that are there whole or not at all.
//
//   OutputFile file(folder / "per_class.csv");
//   file.write("class,clips\n");
//   file.finish();   // without it nothing stays behind
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace cfp {

/// Where a file is written before it is whole: the final name and `.tmp`.
std::filesystem::path temporary_path(const std::filesystem::path& path);

/// Makes `temporary_path(path)` durable and gives it its final name: syncs the file, renames it,
/// syncs the folder. A file that has the final name already is replaced in one step.
/// @throws SystemError any of these fails; names the path
void publish_file(const std::filesystem::path& path);

/// A file that appears under its name when finish() has made it whole and durable.
class OutputFile {
 public:
  /// @throws SystemError the folder is missing or cannot be written
  explicit OutputFile(std::filesystem::path path);
  /// Removes the unfinished file, where finish() has not been reached.
  ~OutputFile();
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;

  /// @throws SystemError the disk is full or fails
  void write(std::string_view bytes);
  /// @throws SystemError the disk is full or fails
  void finish();

  const std::filesystem::path& path() const { return path_; }

 private:
  void flush();

  std::filesystem::path path_;
  std::string buffer_;
  int descriptor_ = -1;
};

/// Writes a whole file at once.
/// @throws SystemError as OutputFile
void write_file(const std::filesystem::path& path, std::string_view bytes);

}  // namespace cfp
