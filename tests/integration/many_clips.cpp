#include "tests/integration/many_clips.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <random>
#include <stdexcept>

#include <fmt/format.h>

#include "tests/support/run_command.h"

namespace cfp::test {
namespace fs = std::filesystem;

bool long_tests() {
  const char* value = std::getenv("CFP_LONG_TESTS");
  return value != nullptr && std::string(value) == "1";
}

unsigned random_seed() {
  const char* value = std::getenv("CFP_TEST_SEED");
  const unsigned seed =
      value != nullptr ? static_cast<unsigned>(std::stoul(value)) : std::random_device()();
  fmt::print("CFP_TEST_SEED={}\n", seed);
  return seed;
}

namespace {

constexpr const char* kSecondsName = "seconds.txt";

/// Arguments of a run of the config in a folder into one below it.
std::vector<std::string> run_arguments(const std::string& work_dir) {
  return {"run",
          "c.yaml",
          "-q",
          "output.part_clips=8",
          "runtime.threads_per_device=1",
          "output.work_dir=" + work_dir};
}

/// The command that compares two runs.
std::string compare(const fs::path& one, const fs::path& other, const std::string& option = "") {
  return fmt::format("{} {}/tests/integration/compare_runs.py {} {} {}",
                     python_with("h5py", CFP_SOURCE_DIR), CFP_SOURCE_DIR, one.string(),
                     other.string(), option);
}

}  // namespace

void ManyClips::make(const fs::path& folder) {
  fs::remove_all(folder);
  const CommandResult made = run_command(
      fmt::format("{} --out {} --manifest {} --count 40 --clip_len 16 --size 32", CFP_MOVING_SHAPES,
                  (folder / "clips").string(), (folder / "made.csv").string()));
  if (made.exit_code != 0) throw std::runtime_error("cannot make clips: " + made.output);
  std::vector<std::string> files;
  for (const auto& entry : fs::recursive_directory_iterator(folder / "clips")) {
    if (entry.path().extension() == ".mp4") files.push_back(entry.path().string());
  }
  std::ranges::sort(files);
  std::string list = "path,label\n";
  for (int row = 0; row < kRows; ++row) {
    const std::string file = files[static_cast<std::size_t>(row) % files.size()];
    list += fmt::format("{},{}\n", row % 23 == 7 ? "gone.mp4" : file, row % 5);
  }
  write_text(folder / "list.csv", list);
  write_text(folder / "c.yaml", tiny_config("{type: list, file: list.csv, max_failures: 0.1}"));
  const auto start = std::chrono::steady_clock::now();
  const ProgramResult whole = run_program(run_arguments("whole"), folder);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  if (whole.exit_code != 0) throw std::runtime_error("the undisturbed run failed: " + whole.err);
  write_text(folder / kSecondsName, fmt::format("{}", took.count()));
  if (python_with("h5py", CFP_SOURCE_DIR).empty()) return;
  // Reads the run once for all comparisons with it.
  const CommandResult read = run_command(compare(folder / "whole", folder / "whole"));
  if (read.output != "equal\n") throw std::runtime_error("cannot compare runs: " + read.output);
}

ManyClips::ManyClips() {
  if (python_with("h5py", CFP_SOURCE_DIR).empty()) {
    reason_ = "needs a Python with h5py";
    return;
  }
  if (const char* shared = std::getenv("CFP_MANY_CLIPS")) {
    for (const char* name : {"list.csv", "c.yaml", "whole", "whole.pickle", kSecondsName}) {
      fs::copy(fs::path(shared) / name, folder_ / name, fs::copy_options::recursive);
    }
  } else {
    make(folder_.path());
  }
  seconds_ = std::stod(read_text(folder_ / kSecondsName));
}

std::vector<std::string> ManyClips::run(const std::string& work_dir,
                                        const std::vector<std::string>& more) const {
  std::vector<std::string> arguments = run_arguments(work_dir);
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

std::string ManyClips::difference(const std::string& work_dir, const std::string& option) const {
  const CommandResult result = run_command(compare(folder_ / "whole", folder_ / work_dir, option));
  return result.exit_code == 0 && result.output == "equal\n" ? "" : result.output + " differs";
}

const ManyClips& ManyClips::get() {
  static const ManyClips clips;
  return clips;
}

}  // namespace cfp::test
