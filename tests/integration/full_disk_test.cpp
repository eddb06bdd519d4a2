#include <cerrno>
#include <cstring>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mount.h>

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

}  // namespace
}  // namespace cfp::test
