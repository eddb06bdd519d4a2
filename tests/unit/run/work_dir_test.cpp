#include "pipeline/run/work_dir.h"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <functional>
#include <optional>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <unistd.h>

#include "pipeline/run/shard_folder.h"
#include "pipeline/run/status.h"
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

TEST(WorkDir, RemovesTheLastPartsFirst) {
  const test::TemporaryFolder folder;
  const fs::path path = folder / "run";
  const WorkDir run(path);
  for (const char* name : {"part-00000.h5", "part-00001.h5", "part-00002.h5", "run.json"}) {
    touch(path / name);
  }
  // What is mounted cannot be removed: as if the removal had been killed there.
  const std::string held = (path / "part-00001.h5").string();
  if (::mount(held.c_str(), held.c_str(), nullptr, MS_BIND, nullptr) != 0) {
    GTEST_SKIP() << "needs the right to mount: " << std::strerror(errno);
  }
  EXPECT_THAT(error_of<SystemError>([&] { run.remove_results(); }),
              HasSubstr("cannot remove '" + held + "'"));
  EXPECT_FALSE(fs::exists(path / "run.json"));
  EXPECT_TRUE(fs::exists(path / "part-00000.h5"));
  EXPECT_FALSE(fs::exists(path / "part-00002.h5"));
  ::umount(held.c_str());
}

TEST(WorkDir, RemovesWhatAKilledRunHadNotFinished) {
  const test::TemporaryFolder folder;
  const fs::path path = folder / "run";
  { const WorkDir first(path); }
  const std::string dead = ".4711-0123abcd.tmp";
  for (const char* name : {"part-00003.h5", "summary.html", "failures.csv", "mine"}) {
    touch(path / (name + dead));
  }
  for (const char* name : {"part-00002.h5", "summary.json.tmp", "summary.json.old.tmp"}) {
    touch(path / name);
  }
  const WorkDir again(path);
  EXPECT_FALSE(fs::exists(path / ("part-00003.h5" + dead)));
  EXPECT_FALSE(fs::exists(path / ("summary.html" + dead)));
  EXPECT_FALSE(fs::exists(path / ("failures.csv" + dead)));
  EXPECT_TRUE(fs::exists(path / "part-00002.h5"));
  for (const std::string& name :
       {"mine" + dead, std::string("summary.json.tmp"), std::string("summary.json.old.tmp")}) {
    EXPECT_TRUE(fs::exists(path / name)) << "removed a file that no run makes: " << name;
  }
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
}

/// Nobody in particular, who may not do what root may.
class Nobody {
 public:
  Nobody() : was_(geteuid()) { is_one_ = was_ != 0 || seteuid(65534) == 0; }
  ~Nobody() { static_cast<void>(seteuid(was_)); }
  bool is_one() const { return is_one_; }

 private:
  uid_t was_;
  bool is_one_ = false;
};

TEST(WorkDir, NamesTheFolderThatItMayNotRead) {
  const test::TemporaryFolder folder;
  fs::permissions(folder.path(), fs::perms(0777));
  const fs::path closed = folder / "closed";
  for (const int mode : {0000, 0333}) {
    fs::create_directories(closed);
    fs::permissions(closed, fs::perms(mode));
    const Nobody nobody;
    if (!nobody.is_one()) GTEST_SKIP() << "needs the right to be another user";
    EXPECT_THAT(error_of<SystemError>([&] { WorkDir{closed}; }),
                AllOf(HasSubstr("cannot read the folder '" + closed.string()),
                      HasSubstr("Permission denied")));
  }
  fs::permissions(closed, fs::perms(0000));
  const Nobody nobody;
  EXPECT_THAT(error_of<SystemError>([&] { WorkDir(closed / "inside"); }),
              AllOf(HasSubstr("cannot make the folder '" + (closed / "inside").string()),
                    HasSubstr("Permission denied")));
  EXPECT_THAT(error_of<SystemError>([&] { read_status(closed); }),
              AllOf(HasSubstr("cannot list '" + (closed / "shards").string()),
                    HasSubstr("Permission denied")));
  EXPECT_THAT(error_of<SystemError>([&] { read_status(closed / "inside"); }),
              HasSubstr("cannot look for '" + (closed / "inside").string()));
}

TEST(ShardFolder, IsForOneDivision) {
  const test::TemporaryFolder folder;
  EXPECT_NO_THROW(require_one_kind(folder.path(), Shard{0, 4}));
  fs::create_directories(folder / "shards/00000-of-00004");
  EXPECT_NO_THROW(require_one_kind(folder.path(), Shard{3, 4}));
  const std::string refused = "holds shards of a division into 4, not into 8";
  const auto other = [&] { require_one_kind(folder.path(), Shard{1, 8}); };
  EXPECT_THAT(error_of<ConfigError>(other), HasSubstr(refused));
  // As the first shard wrote it, whatever folders there are.
  fs::remove_all(folder / "shards");
  std::ofstream(folder / kIdentityName)
      << R"({"name": "n", "rows": 20, "shards": 4, "config_hash": "a", "manifest_hash": "b",)"
      << R"( "weights_hash": "c", "config": ""})";
  EXPECT_THAT(error_of<ConfigError>(other), HasSubstr(refused));
  EXPECT_NO_THROW(require_one_kind(folder.path(), Shard{3, 4}));
}

TEST(ShardFolder, IsNoRunInOnePiece) {
  for (const char* trace : {"part-00000.h5", "manifest.csv", "running.json"}) {
    const test::TemporaryFolder folder;
    touch(folder / trace);
    EXPECT_THAT(error_of<ConfigError>([&] {
                  require_one_kind(folder.path(), Shard{0, 2});
                }),
                HasSubstr("holds a run in one piece"))
        << trace;
    EXPECT_NO_THROW(require_one_kind(folder.path(), std::nullopt));
  }
}

}  // namespace
}  // namespace cfp
