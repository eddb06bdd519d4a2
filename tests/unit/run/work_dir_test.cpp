#include "pipeline/run/work_dir.h"

#include <fstream>
#include <functional>
#include <optional>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "stages/core/errors.h"
#include "tests/support/test_data.h"

namespace cfp {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

template <class Error>
std::string error_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  ADD_FAILURE() << "no such error";
  return "";
}

void touch(const fs::path& path) { std::ofstream(path) << "x"; }

TEST(WorkDir, MakesTheFolderAndThoseAboveIt) {
  const test::TemporaryFolder folder;
  const WorkDir made(folder / "a/b c/d", false);
  EXPECT_TRUE(fs::is_directory(made.path()));
}

TEST(WorkDir, KeepsResultsUnlessToldOtherwise) {
  const test::TemporaryFolder folder;
  const fs::path path = folder / "run";
  { const WorkDir first(path, false); }
  touch(path / kPartName);
  touch(path / "summary.json");
  touch(path / "notes.txt");
  EXPECT_THAT(error_of<ConfigError>([&] { WorkDir(path, false); }),
              HasSubstr("holds the results of an earlier run"));
  EXPECT_TRUE(fs::exists(path / kPartName));
  const WorkDir again(path, true);
  EXPECT_FALSE(fs::exists(path / kPartName));
  EXPECT_FALSE(fs::exists(path / "summary.json"));
  EXPECT_TRUE(fs::exists(path / "notes.txt")) << "removed a file that no run makes";
}

TEST(WorkDir, GoesOverWhatAKilledRunLeft) {
  const test::TemporaryFolder folder;
  const fs::path path = folder / "run";
  { const WorkDir first(path, false); }
  touch(path / "config.yaml");
  EXPECT_NO_THROW(WorkDir(path, false));
}

TEST(WorkDir, LeavesFoldersOfOthersAlone) {
  const test::TemporaryFolder folder;
  touch(folder / "config.yaml");
  for (const bool overwrite : {false, true}) {
    EXPECT_THAT(error_of<ConfigError>([&] { WorkDir(folder.path(), overwrite); }),
                HasSubstr("holds files that are not of a run"));
  }
  EXPECT_TRUE(fs::exists(folder / "config.yaml"));
  EXPECT_THAT(error_of<ConfigError>([&] { WorkDir(folder / "config.yaml", false); }),
              HasSubstr("is no folder"));
}

TEST(WorkDir, IsForOneRunAtATime) {
  const test::TemporaryFolder folder;
  std::optional<WorkDir> first(std::in_place, folder / "run", true);
  EXPECT_THAT(error_of<SystemError>([&] { WorkDir(folder / "run", true); }),
              HasSubstr("another run is writing in"));
  first.reset();
  EXPECT_NO_THROW(WorkDir(folder / "run", true));
}

TEST(WorkDir, NamesTheFolderThatItCannotMake) {
  EXPECT_THAT(error_of<SystemError>([] { WorkDir("/proc/cfp", false); }),
              HasSubstr("cannot make the folder '/proc/cfp'"));
}

TEST(WorkDir, NamesTheFolderThatItCannotWrite) {
  const test::TemporaryFolder folder;
  // A folder in the place of the file that a run locks keeps even root from making it.
  fs::create_directories(folder / "taken/.cfp_run");
  EXPECT_THAT(error_of<SystemError>([&] { WorkDir(folder / "taken", false); }),
              AllOf(HasSubstr("cannot write in the folder '" + (folder / "taken").string()),
                    HasSubstr("Is a directory")));
  fs::remove_all(folder / "taken");
  if (geteuid() == 0) return;  // root may write everywhere else
  fs::permissions(folder.path(), fs::perms::owner_read | fs::perms::owner_exec);
  EXPECT_THAT(error_of<SystemError>([&] { WorkDir(folder.path(), false); }),
              HasSubstr("Permission denied"));
}

}  // namespace
}  // namespace cfp
