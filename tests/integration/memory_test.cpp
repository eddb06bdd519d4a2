// A run needs no more memory for many clips than for some.
#include <gtest/gtest.h>

#include "tests/integration/program.h"
#include "tests/support/synthetic_video.h"
#include "tests/support/test_data.h"

namespace cfp::test {
namespace {

namespace fs = std::filesystem;

/// Peak memory of a run over a list that names the same files again and again.
std::int64_t peak_of_run(const fs::path& folder, int rows) {
  const std::vector<std::string> files = {"bframes.mp4", "lossless.mkv", "small.mkv", "text.mp4"};
  std::string list = "path,label\n";
  for (int row = 0; row < rows; ++row) {
    list +=
        files[static_cast<std::size_t>(row) % files.size()] + ',' + std::to_string(row % 5) + '\n';
  }
  write_text(folder / "list.csv", list);
  write_text(folder / "c.yaml", tiny_config("{type: list, file: list.csv, max_failures: 0.25}"));
  const ProgramResult result = run_program(
      {"run", "c.yaml", "output.overwrite=true", "runtime.threads_per_device=1"}, folder);
  EXPECT_EQ(result.exit_code, 0) << result.err;
  return result.peak_memory_bytes;
}

TEST(Memory, DoesNotGrowFromAHundredClipsToAThousand) {
#if defined(__SANITIZE_ADDRESS__)
  GTEST_SKIP() << "a sanitizer keeps freed memory, so the process grows anyway";
#endif
  const TemporaryFolder folder;
  write_media(folder / "bframes.mp4",
              {{.encoder = "mpeg4", .pixel_format = "yuv420p", .b_frames = 2}});
  write_media(folder / "lossless.mkv", {{}});
  write_media(folder / "small.mkv", {{.width = 32, .height = 32, .frames = 9}});
  write_text(folder / "text.mp4", "every fourth row is a failure");
  const std::int64_t of_some = peak_of_run(folder.path(), 100);
  const std::int64_t of_many = peak_of_run(folder.path(), 1000);
  EXPECT_LE(of_many - of_some, 16'000'000) << "of a hundred clips: " << of_some << " bytes";
  RecordProperty("growth_bytes", std::to_string(of_many - of_some));
}

}  // namespace
}  // namespace cfp::test
