#include <cerrno>
#include <cstring>
#include <random>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mount.h>

#include "results/store/part_reader.h"
#include "tests/integration/many_clips.h"
#include "tests/integration/program.h"
#include "tests/support/test_data.h"

namespace cfp::test {
namespace {

namespace fs = std::filesystem;

/// A file system of its own, taken away with all it holds.
class SmallDisk {
 public:
  SmallDisk(fs::path folder, int kilobytes) : folder_(std::move(folder)) {
    fs::create_directories(folder_);
    is_there_ = mount("tmpfs", folder_.c_str(), "tmpfs", 0,
                      fmt::format("size={}k", kilobytes).c_str()) == 0;
    reason_ = std::strerror(errno);
  }
  ~SmallDisk() {
    if (is_there_) umount2(folder_.c_str(), MNT_DETACH);
  }
  /// Makes room.
  bool grow(int kilobytes) const {
    return mount("tmpfs", folder_.c_str(), "tmpfs", MS_REMOUNT,
                 fmt::format("size={}k", kilobytes).c_str()) == 0;
  }
  bool is_there() const { return is_there_; }
  const std::string& reason() const { return reason_; }

 private:
  fs::path folder_;
  bool is_there_ = false;
  std::string reason_;
};

// From too small for the first file to nearly large enough: wherever it ends, it ends well.
TEST(FullDisk, EndsTheRunWithAMessageAndNoHalfFile) {
  const TemporaryFolder folder;
  make_video(folder / "clips/a/one.mkv");
  std::string list;
  for (int i = 0; i < 300; ++i) list += "clips/a/one.mkv 0\n";
  write_text(folder / "list.txt", list);
  write_text(folder / "c.yaml", tiny_config("{type: list, file: list.txt}"));
  for (const int kilobytes : {8, 40, 120, 400}) {
    const SmallDisk disk(folder / fmt::format("disk{}", kilobytes), kilobytes);
    if (!disk.is_there()) GTEST_SKIP() << "cannot mount a small disk: " << disk.reason();
    const fs::path out = folder / fmt::format("disk{}/out", kilobytes);
    const ProgramResult result =
        run_program({"run", "c.yaml", "output.work_dir=" + out.string()}, folder.path());
    EXPECT_EQ(result.exit_code, 4) << kilobytes << " kB: " << result.out << result.err;
    EXPECT_THAT(result.err, testing::HasSubstr("No space left on device")) << kilobytes << " kB";
    EXPECT_FALSE(fs::exists(out / "run.json"));
    for (const auto& entry : fs::directory_iterator(out)) {
      EXPECT_NE(entry.path().extension(), ".tmp") << entry.path();
    }
  }
}

// Wherever it fills: parts that are there are whole, and the run goes on once there is room.
TEST(FullDisk, LeavesWholePartsAndGoesOnOnceThereIsRoom) {
  const ManyClips& clips = ManyClips::get();
  if (!clips.reason().empty()) GTEST_SKIP() << clips.reason();
  std::uintmax_t whole_kilobytes = 0;
  for (const auto& entry : fs::directory_iterator(clips / "whole")) {
    if (entry.is_regular_file()) whole_kilobytes += entry.file_size() / 1024 + 4;
  }
  std::mt19937 random(random_seed());
  std::uniform_int_distribution<int> level(60, static_cast<int>(whole_kilobytes * 9 / 10));
  const int levels = long_tests() ? 20 : 3;
  std::int64_t parts = 0;
  for (int i = 0; i < levels; ++i) {
    const int kilobytes = level(random);
    const std::string work_dir = fmt::format("disk{}/out", i);
    const SmallDisk disk(clips / fmt::format("disk{}", i), kilobytes);
    if (!disk.is_there()) GTEST_SKIP() << "cannot mount a small disk: " << disk.reason();
    const ProgramResult full = run_program(clips.run(work_dir), clips.path());
    EXPECT_EQ(full.exit_code, 4) << kilobytes << " kB: " << full.out << full.err;
    for (const auto& entry : fs::directory_iterator(clips / work_dir)) {
      EXPECT_NE(entry.path().extension(), ".tmp") << entry.path();
      if (entry.path().extension() != ".h5") continue;
      const PartReader part(entry.path());
      for (std::int64_t c = 0; c < part.clips(); ++c) part.read(c);
      ++parts;
    }
    ASSERT_TRUE(disk.grow(64 * 1024));
    const ProgramResult resumed = run_program(clips.run(work_dir), clips.path());
    EXPECT_EQ(resumed.exit_code, 0) << resumed.err;
    EXPECT_EQ(clips.difference(work_dir), "") << kilobytes << " kB";
  }
  fmt::print("{} disks of 60 to {} kB; {} whole parts on them\n", levels, whole_kilobytes * 9 / 10,
             parts);
}

}  // namespace
}  // namespace cfp::test
