// Starting the program from a test, and what the tests feed it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>
#include <sys/types.h>

namespace cfp::test {

/// How a program ended and what it said.
struct ProgramResult {
  int exit_code = -1;  ///< 128 + signal where a signal ended it
  std::string out, err;
  std::int64_t peak_memory_bytes = 0;  ///< most that was resident at any time
};

/// A running cfp.
class Program {
 public:
  /// Starts `cfp` with these arguments; no shell is in between.
  /// @param folder  working folder of the program
  /// @param address_space_bytes  that it may have; 0: as many as it likes
  Program(const std::vector<std::string>& arguments, const std::filesystem::path& folder,
          std::int64_t address_space_bytes = 0);
  void signal(int number) const;
  bool is_running() const;
  /// @return a number of its /proc/PID/status: `VmHWM` in kB, `Threads`, …; 0: it has ended
  std::int64_t status(const std::string& field) const;
  /// @return files, pipes and sockets that it holds open; 0: it has ended
  std::int64_t open_files() const;
  /// Waits for its end.
  ProgramResult wait();

 private:
  pid_t process_ = -1;
  std::filesystem::path out_, err_;
};

/// Runs `cfp` to its end.
ProgramResult run_program(const std::vector<std::string>& arguments,
                          const std::filesystem::path& folder);

/// Asks again and again.
/// @return whether the answer was yes before `seconds` had passed
bool wait_until(const std::function<bool()>& question, double seconds = 60);

void write_text(const std::filesystem::path& path, const std::string& text);
std::string read_text(const std::filesystem::path& path);
nlohmann::json read_json(const std::filesystem::path& path);

/// A config for a tiny random network of five classes, over clips of 8 frames of 32 x 32.
/// @param dataset  the section, in braces
std::string tiny_config(const std::string& dataset);

/// Makes a short video of moving shapes.
void make_video(const std::filesystem::path& path);

}  // namespace cfp::test
