#include "stages/core/output_file.h"

#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "stages/core/errors.h"
#include "tests/support/test_data.h"

namespace cfp {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::ThrowsMessage;

std::string content_of(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

TEST(OutputFile, AppearsWhenItIsWhole) {
  const test::TemporaryFolder folder;
  OutputFile file(folder / "table.csv");
  file.write("class,");
  file.write("clips\n");
  EXPECT_FALSE(std::filesystem::exists(folder / "table.csv"));
  file.finish();
  EXPECT_EQ(content_of(folder / "table.csv"), "class,clips\n");
  EXPECT_FALSE(std::filesystem::exists(temporary_path(folder / "table.csv")));
}

TEST(OutputFile, LeavesNothingUnfinishedBehind) {
  const test::TemporaryFolder folder;
  { OutputFile(folder / "table.csv").write("half a li"); }
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

TEST(OutputFile, KeepsWhatWasThereUntilItIsFinished) {
  const test::TemporaryFolder folder;
  write_file(folder / "table.csv", "old");
  {
    OutputFile file(folder / "table.csv");
    file.write("new");
    EXPECT_EQ(content_of(folder / "table.csv"), "old");
  }
  EXPECT_EQ(content_of(folder / "table.csv"), "old");
  write_file(folder / "table.csv", "new");
  EXPECT_EQ(content_of(folder / "table.csv"), "new");
}

TEST(OutputFile, WritesMoreThanItsBufferHolds) {
  const test::TemporaryFolder folder;
  std::string expected;
  OutputFile file(folder / "long");
  for (int i = 0; i < 100'000; ++i) {
    const std::string line = std::to_string(i) + '\n';
    file.write(line);
    expected += line;
  }
  file.finish();
  EXPECT_EQ(content_of(folder / "long"), expected);
}

TEST(OutputFile, NamesTheFileItCannotCreate) {
  const test::TemporaryFolder folder;
  EXPECT_THAT([&] { OutputFile file(folder / "absent/table.csv"); },
              ThrowsMessage<SystemError>(AllOf(
                  HasSubstr(temporary_path("absent/table.csv").string() + ": cannot create it"),
                  HasSubstr("No such file or directory"))));
}

TEST(OutputFile, SaysThatTheDiskIsFull) {
  const test::TemporaryFolder folder;
  // What is written to /dev/full meets a full disk.
  std::filesystem::create_symlink("/dev/full", temporary_path(folder / "table.csv"));
  OutputFile file(folder / "table.csv");
  file.write("class,clips\n");
  EXPECT_THAT([&] { file.finish(); },
              ThrowsMessage<SystemError>(
                  AllOf(HasSubstr(temporary_path("table.csv").string() + ": cannot write"),
                        HasSubstr("No space left on device"))));
}

TEST(OutputFile, SaysThatAFolderIsInItsPlace) {
  const test::TemporaryFolder folder;
  std::filesystem::create_directory(folder / "table.csv");
  EXPECT_THAT([&] { write_file(folder / "table.csv", "x"); },
              ThrowsMessage<SystemError>(HasSubstr(
                  "table.csv: cannot rename " + temporary_path("table.csv").string() + " to it")));
  EXPECT_FALSE(std::filesystem::exists(temporary_path(folder / "table.csv")));
}

TEST(OutputFile, HasATemporaryNameOfItsProcess) {
  const auto name = read_temporary_name(temporary_path("a/part-00003.h5").filename().string());
  ASSERT_TRUE(name);
  EXPECT_EQ(name->final_name, "part-00003.h5");
  EXPECT_TRUE(name->is_own);
  const auto other = read_temporary_name("run.json.17-0123abcd.tmp");
  ASSERT_TRUE(other);
  EXPECT_EQ(other->final_name, "run.json");
  EXPECT_FALSE(other->is_own);
  for (const char* none : {"run.json", "run.json.tmp", "run.json.backup.tmp", ".17-0123abcd.tmp",
                           "run.json.17-0123abc.tmp", "run.json.-0123abcd.tmp",
                           "run.json.17-0123ABCD.tmp", "run.json.17-0123abcd"}) {
    EXPECT_FALSE(read_temporary_name(none)) << none;
  }
}

TEST(OutputFile, OfAForkHasAnotherTemporaryName) {
  const std::filesystem::path own = temporary_path("table.csv");
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) ::_exit(temporary_path("table.csv") == own ? 1 : 0);
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

TEST(OutputFile, IsTakenBackWhenItMayNotBePublished) {
  const test::TemporaryFolder folder;
  OutputFile file(folder / "table.csv");
  file.write("x");
  file.finish_if([&] {
    EXPECT_EQ(content_of(temporary_path(folder / "table.csv")), "x") << "asked before it is whole";
    return false;
  });
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

TEST(OutputFile, ThatSomebodyRemovedIsNotPublished) {
  const test::TemporaryFolder folder;
  const auto finish = [&](auto&& how) {
    OutputFile file(folder / "table.csv");
    file.write("x");
    std::filesystem::remove(temporary_path(folder / "table.csv"));
    how(file);
  };
  const auto gone = ThrowsMessage<TemporaryGone>(
      AllOf(HasSubstr("table.csv: cannot be finished: "), HasSubstr("was removed")));
  EXPECT_THAT([&] { finish([](OutputFile& file) { file.finish(); }); }, gone);
  EXPECT_THAT([&] { finish([](OutputFile& file) { file.finish_first(); }); }, gone);
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

TEST(OutputFile, IsTheFirstOnlyOnce) {
  const test::TemporaryFolder folder;
  const auto put = [&](const char* text) {
    OutputFile file(folder / "owner");
    file.write(text);
    return file.finish_first();
  };
  EXPECT_TRUE(put("one"));
  EXPECT_FALSE(put("two"));
  EXPECT_EQ(content_of(folder / "owner"), "one");
  EXPECT_FALSE(std::filesystem::exists(temporary_path(folder / "owner")));
}

TEST(OutputFile, IsTheFirstForOneOfSeveralProcesses) {
  const test::TemporaryFolder folder;
  constexpr int kProcesses = 8;
  for (int round = 0; round < 20; ++round) {
    const auto path = folder / std::to_string(round);
    std::vector<pid_t> children;
    for (int i = 0; i < kProcesses; ++i) {
      const pid_t child = ::fork();
      ASSERT_GE(child, 0);
      if (child == 0) {
        OutputFile file(path);
        file.write(std::to_string(::getpid()));
        ::_exit(file.finish_first() ? 1 : 0);
      }
      children.push_back(child);
    }
    int firsts = 0;
    for (const pid_t child : children) {
      int status = 0;
      ASSERT_EQ(::waitpid(child, &status, 0), child);
      ASSERT_TRUE(WIFEXITED(status));
      firsts += WEXITSTATUS(status);
      if (WEXITSTATUS(status) == 1) {
        EXPECT_EQ(content_of(path), std::to_string(child));
      }
    }
    EXPECT_EQ(firsts, 1);
  }
}

TEST(OutputFile, RefusesToBeWrittenAfterItsEnd) {
  const test::TemporaryFolder folder;
  OutputFile file(folder / "table.csv");
  file.finish();
  EXPECT_THROW(file.write("more"), std::logic_error);
  EXPECT_THROW(file.finish(), std::logic_error);
}

}  // namespace
}  // namespace cfp
