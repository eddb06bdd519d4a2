// Files that are damaged or made to do harm: refused, without a crash, a hang or much memory.
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "results/store/part_reader.h"
#include "results/store/part_writer.h"
#include "stages/core/formula.h"
#include "tests/support/run_command.h"
#include "tests/support/sanitizers.h"
#include "tests/support/test_data.h"
#include "tests/unit/store/example_clips.h"

namespace cfp {
namespace {

using testing::HasSubstr;

enum Outcome { kRead = 0, kRefused = 10, kWrongError = 11 };

/// Reads all of a part, as a careful program would.
Outcome read_all(const std::filesystem::path& path) {
  try {
    const PartReader part(path);
    for (std::int64_t i = 0; i < std::min<std::int64_t>(part.clips(), 1000); ++i) part.read(i);
    for (std::int64_t i = 0; i < std::min<std::int64_t>(part.failures(), 1000); ++i) {
      part.read_failure(i);
    }
    return kRead;
  } catch (const SystemError& error) {
    return std::string(error.what()).find(path.string()) == std::string::npos ? kWrongError
                                                                              : kRefused;
  } catch (...) {
    return kWrongError;
  }
}

/// Reads in a process of its own, with little memory and time.
/// @return an Outcome, or 1000 + the signal that ended it
int outcome_alone(const std::filesystem::path& path) {
  const pid_t child = ::fork();
  if (child == 0) {
    const rlimit memory{std::uint64_t{2} << 30, std::uint64_t{2} << 30};
    // The shadow of a sanitizer alone is larger.
    if (!test::kHasAddressSanitizer) ::setrlimit(RLIMIT_AS, &memory);
    ::alarm(20);
    ::_exit(read_all(path));
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

std::string good_part(const test::TemporaryFolder& folder) {
  PartWriter part(folder / "good.h5", {.name = "good"});
  for (int i = 0; i < 3; ++i) {
    part.append(test::example_clip(i));
    part.append_failure(test::example_failure(i));
  }
  part.finish();
  return (folder / "good.h5").string();
}

std::string bytes_of(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

TEST(PartReader, RefusesPartsMadeToDoHarm) {
  const std::string python = test::python_with("h5py", CFP_SOURCE_DIR);
  CFP_SKIP_WITHOUT_PYTHON(python, "h5py");
  const test::TemporaryFolder folder;
  const std::string good = good_part(folder);
  ASSERT_EQ(outcome_alone(good), kRead);
  const std::filesystem::path cases = folder / "cases";
  std::filesystem::create_directory(cases);
  const test::CommandResult made =
      test::run_command(python + " " CFP_SOURCE_DIR "/tests/unit/store/make_hostile.py " + good +
                        " " + cases.string());
  ASSERT_EQ(made.exit_code, 0) << made.output;
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(cases)) {
    if (entry.path().extension() != ".h5") continue;
    ++files;
    EXPECT_EQ(outcome_alone(entry.path()), kRefused) << entry.path();
  }
  EXPECT_GE(files, 30);
}

TEST(PartReader, RefusesWhatIsNoPart) {
  const test::TemporaryFolder folder;
  std::ofstream(folder / "page.h5") << "<html>not found</html>";
  std::ofstream(folder / "empty.h5");
  std::filesystem::create_directory(folder / "folder.h5");
  for (const char* name : {"page.h5", "empty.h5", "folder.h5", "absent.h5"}) {
    try {
      PartReader part(folder / name);
      FAIL() << name << " was read";
    } catch (const SystemError& error) {
      EXPECT_THAT(error.what(), HasSubstr(name));
    }
  }
}

TEST(PartReader, RefusesATruncatedPart) {
  const test::TemporaryFolder folder;
  const std::string bytes = bytes_of(good_part(folder));
  for (int i = 0; i < 40; ++i) {
    const std::size_t size = bytes.size() * static_cast<std::size_t>(i) / 40;
    std::ofstream(folder / "cut.h5", std::ios::binary) << bytes.substr(0, size);
    EXPECT_EQ(outcome_alone(folder / "cut.h5"), kRefused) << size << " of " << bytes.size();
  }
}

TEST(PartReader, SurvivesDamagedBytes) {
  const test::TemporaryFolder folder;
  const std::string bytes = bytes_of(good_part(folder));
  const FormulaStream random(1, "damage");
  int refused = 0;
  for (std::uint64_t i = 0; i < 300; ++i) {
    std::string damaged = bytes;
    for (std::uint64_t k = 0; k < 1 + i % 8; ++k) {
      damaged[random.bits(100 * i + 2 * k) % bytes.size()] =
          static_cast<char>(random.bits(100 * i + 2 * k + 1));
    }
    std::ofstream(folder / "damaged.h5", std::ios::binary) << damaged;
    const int outcome = outcome_alone(folder / "damaged.h5");
    EXPECT_TRUE(outcome == kRead || outcome == kRefused) << "case " << i << ": " << outcome;
    refused += outcome == kRefused ? 1 : 0;
  }
  // Numbers that merely change are not noticed; most of the file is structure with checksums.
  EXPECT_GT(refused, 50);
}

}  // namespace
}  // namespace cfp
