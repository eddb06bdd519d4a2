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
  const WorkDir made(folder / "a/b c/d");
  EXPECT_TRUE(fs::is_directory(made.path()));
}

TEST(WorkDir, RemovesResultsWhenToldAndNothingElse) {
  const test::TemporaryFolder folder;
  const fs::path path = folder / "run";
  { const WorkDir first(path); }
  for (const char* name : {"part-00000.h5", "part-00012.h5", "summary.json", "run.json",
                           "log.jsonl", "notes.txt", "part-1.h5"}) {
    touch(path / name);
  }
  const WorkDir again(path);
  EXPECT_TRUE(fs::exists(path / "part-00012.h5"));
  again.remove_ends();
  EXPECT_TRUE(fs::exists(path / "part-00012.h5"));
  EXPECT_TRUE(fs::exists(path / "log.jsonl"));
  EXPECT_FALSE(fs::exists(path / "summary.json"));
  EXPECT_FALSE(fs::exists(path / "run.json"));
  again.remove_results();
  EXPECT_FALSE(fs::exists(path / "part-00000.h5"));
  EXPECT_FALSE(fs::exists(path / "part-00012.h5"));
  EXPECT_FALSE(fs::exists(path / "log.jsonl"));
  for (const char* name : {"notes.txt", "part-1.h5"}) {
    EXPECT_TRUE(fs::exists(path / name)) << "removed a file that no run makes: " << name;
  }
}

TEST(WorkDir, RemovesWhatAKilledRunHadNotFinished) {
  const test::TemporaryFolder folder;
  const fs::path path = folder / "run";
  { const WorkDir first(path); }
  for (const char* name :
       {"part-00003.h5.tmp", "summary.html.tmp", "failures.csv.tmp", "mine.tmp", "part-00002.h5"}) {
    touch(path / name);
  }
  const WorkDir again(path);
  EXPECT_FALSE(fs::exists(path / "part-00003.h5.tmp"));
  EXPECT_FALSE(fs::exists(path / "summary.html.tmp"));
  EXPECT_FALSE(fs::exists(path / "failures.csv.tmp"));
  EXPECT_TRUE(fs::exists(path / "part-00002.h5"));
  EXPECT_TRUE(fs::exists(path / "mine.tmp"));
}

TEST(WorkDir, LeavesFoldersOfOthersAlone) {
  const test::TemporaryFolder folder;
  touch(folder / "config.yaml");
  EXPECT_THAT(error_of<ConfigError>([&] { WorkDir(folder.path()); }),
              HasSubstr("holds files that are not of a run"));
  EXPECT_TRUE(fs::exists(folder / "config.yaml"));
  EXPECT_THAT(error_of<ConfigError>([&] { WorkDir(folder / "config.yaml"); }),
              HasSubstr("is no folder"));
}

TEST(WorkDir, IsForOneRunAtATime) {
  const test::TemporaryFolder folder;
  std::optional<WorkDir> first(std::in_place, folder / "run");
  EXPECT_THAT(error_of<SystemError>([&] { WorkDir(folder / "run"); }),
              HasSubstr("another run is writing in"));
  first.reset();
  EXPECT_NO_THROW(WorkDir(folder / "run"));
}

TEST(WorkDir, NamesTheFolderThatItCannotMake) {
  EXPECT_THAT(error_of<SystemError>([] { WorkDir("/proc/cfp"); }),
              HasSubstr("cannot make the folder '/proc/cfp'"));
}

TEST(WorkDir, NamesTheFolderThatItCannotWrite) {
  const test::TemporaryFolder folder;
  // A folder in the place of the file that a run locks keeps even root from making it.
  fs::create_directories(folder / "taken/.cfp_run");
  EXPECT_THAT(error_of<SystemError>([&] { WorkDir(folder / "taken"); }),
              AllOf(HasSubstr("cannot write in the folder '" + (folder / "taken").string()),
                    HasSubstr("Is a directory")));
  fs::remove_all(folder / "taken");
  if (geteuid() == 0) return;  // root may write everywhere else
  fs::permissions(folder.path(), fs::perms::owner_read | fs::perms::owner_exec);
  EXPECT_THAT(error_of<SystemError>([&] { WorkDir(folder.path()); }),
              HasSubstr("Permission denied"));
}

}  // namespace
}  // namespace cfp
