#include "stages/core/output_file.h"

#include <fstream>
#include <iterator>
#include <stdexcept>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

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
  EXPECT_FALSE(std::filesystem::exists(folder / "table.csv.tmp"));
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
              ThrowsMessage<SystemError>(AllOf(HasSubstr("absent/table.csv.tmp: cannot create it"),
                                               HasSubstr("No such file or directory"))));
}

TEST(OutputFile, SaysThatTheDiskIsFull) {
  const test::TemporaryFolder folder;
  // What is written to /dev/full meets a full disk.
  std::filesystem::create_symlink("/dev/full", folder / "table.csv.tmp");
  OutputFile file(folder / "table.csv");
  file.write("class,clips\n");
  EXPECT_THAT([&] { file.finish(); },
              ThrowsMessage<SystemError>(AllOf(HasSubstr("table.csv.tmp: cannot write"),
                                               HasSubstr("No space left on device"))));
}

TEST(OutputFile, SaysThatAFolderIsInItsPlace) {
  const test::TemporaryFolder folder;
  std::filesystem::create_directory(folder / "table.csv");
  EXPECT_THAT(
      [&] { write_file(folder / "table.csv", "x"); },
      ThrowsMessage<SystemError>(HasSubstr("table.csv: cannot rename table.csv.tmp to it")));
  EXPECT_FALSE(std::filesystem::exists(folder / "table.csv.tmp"));
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
