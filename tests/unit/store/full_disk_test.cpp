// A full disk: an error that names the file, nothing left behind, no crash.
#include <cstring>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mount.h>

#include "results/store/part_reader.h"
#include "results/store/part_writer.h"
#include "stages/core/output_file.h"
#include "tests/support/test_data.h"
#include "tests/unit/store/example_clips.h"

namespace cfp {
namespace {

using testing::HasSubstr;

/// A small disk in memory.
class SmallDisk {
 public:
  explicit SmallDisk(int kilobytes) {
    const std::string options = "size=" + std::to_string(kilobytes) + "k";
    error_ = ::mount("tmpfs", folder_.path().c_str(), "tmpfs", 0, options.c_str()) == 0 ? 0 : errno;
  }
  ~SmallDisk() {
    if (error_ == 0) ::umount(folder_.path().c_str());
  }
  int error() const { return error_; }
  const std::filesystem::path& path() const { return folder_.path(); }

 private:
  test::TemporaryFolder folder_;
  int error_ = 0;
};

#define CFP_SKIP_WITHOUT_DISK(disk) \
  if ((disk).error() != 0)          \
  GTEST_SKIP() << "needs the right to mount a tmpfs: " << std::strerror((disk).error())

TEST(FullDisk, IsAnErrorThatNamesTheFileAndLeavesNothing) {
  const SmallDisk disk(2048);
  CFP_SKIP_WITHOUT_DISK(disk);
  try {
    PartWriter part(disk.path() / "part.h5", {});
    for (int i = 0; i < 10'000; ++i) part.append(test::example_clip(i));
    FAIL() << "ten thousand clips fit on two megabytes";
  } catch (const SystemError& error) {
    EXPECT_THAT(error.what(), HasSubstr(temporary_path(disk.path() / "part.h5").string()));
    EXPECT_THAT(error.what(), testing::EndsWith(": No space left on device"));
  }
  EXPECT_TRUE(std::filesystem::is_empty(disk.path()));
  // The same process can go on writing elsewhere, and here once there is room.
  PartWriter part(disk.path() / "part.h5", {});
  part.append(test::example_clip(0));
  part.finish();
  EXPECT_EQ(PartReader(disk.path() / "part.h5").clips(), 1);
}

// HDF5 prints errors by itself unless it is told not to, in each thread anew.
TEST(FullDisk, IsToldByTheExceptionAlone) {
  const SmallDisk disk(2048);
  CFP_SKIP_WITHOUT_DISK(disk);
  PartWriter part(disk.path() / "part.h5", {});
  testing::internal::CaptureStderr();
  bool failed = false;
  std::thread([&] {
    try {
      for (int i = 0; i < 10'000; ++i) part.append(test::example_clip(i));
    } catch (const SystemError&) {
      failed = true;
    }
  }).join();
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
  EXPECT_TRUE(failed);
}

TEST(FullDisk, WhereverItFillsUpThePartIsWholeOrAbsent) {
  int whole = 0, absent = 0;
  for (int kilobytes = 16; kilobytes <= 1024; kilobytes += 48) {
    const SmallDisk disk(kilobytes);
    CFP_SKIP_WITHOUT_DISK(disk);
    const std::filesystem::path path = disk.path() / "part.h5";
    try {
      PartWriter part(path, {});
      for (int i = 0; i < 30; ++i) part.append(test::example_clip(i));
      part.finish();
      EXPECT_EQ(PartReader(path).clips(), 30);
      EXPECT_EQ(PartReader(path).read(29).logits, test::example_clip(29).logits);
      ++whole;
    } catch (const SystemError& error) {
      EXPECT_THAT(error.what(), HasSubstr(temporary_path("part.h5").string()));
      EXPECT_TRUE(std::filesystem::is_empty(disk.path())) << kilobytes << " kB: " << error.what();
      ++absent;
    }
  }
  // Both must have happened, or the sizes above test nothing.
  EXPECT_GT(whole, 0);
  EXPECT_GT(absent, 3);
}

TEST(FullDisk, OfATextFileIsAnErrorToo) {
  const SmallDisk disk(64);
  CFP_SKIP_WITHOUT_DISK(disk);
  try {
    write_file(disk.path() / "per_kernel.csv", std::string(200'000, 'x'));
    FAIL() << "200 kB fit on 64 kB";
  } catch (const SystemError& error) {
    EXPECT_THAT(error.what(), HasSubstr(temporary_path("per_kernel.csv").string() +
                                        ": cannot write: No space left"));
  }
  EXPECT_TRUE(std::filesystem::is_empty(disk.path()));
}

}  // namespace
}  // namespace cfp
