// A run needs no more memory, files or threads for many clips than for some.
#include <algorithm>
#include <chrono>
#include <thread>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/integration/many_clips.h"
#include "tests/integration/program.h"
#include "tests/support/sanitizers.h"
#include "tests/support/synthetic_video.h"
#include "tests/support/test_data.h"

namespace cfp::test {
namespace {

namespace fs = std::filesystem;

constexpr int kClipsOfAPart = 20;

/// What a run has taken so far: the peak of its memory, the most files and threads seen.
struct Taken {
  std::int64_t memory_kb = 0, files = 0, threads = 0;

  void look(const Program& program) {
    memory_kb = std::max(memory_kb, program.status("VmHWM"));
    files = std::max(files, program.open_files());
    threads = std::max(threads, program.status("Threads"));
  }
};

/// What a run had taken by its first hundred clips, and what by the last.
struct Growth {
  Taken of_some, of_all;
};

Growth watch_run(const fs::path& folder, const std::vector<std::string>& arguments) {
  Program program(arguments, folder);
  const fs::path hundred = folder / "out" / fmt::format("part-{:05}.h5", 100 / kClipsOfAPart - 1);
  Growth growth;
  bool in_first = true;
  while (program.is_running()) {
    if (in_first) growth.of_some.look(program);
    in_first = in_first && !fs::exists(hundred);
    growth.of_all.look(program);
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  const ProgramResult result = program.wait();
  EXPECT_EQ(result.exit_code, 0) << result.err;
  growth.of_all.memory_kb = std::max(growth.of_all.memory_kb, result.peak_memory_bytes / 1024);
  return growth;
}

/// A list that names the same files again and again, every fourth of them no video.
void write_list(const fs::path& folder, int rows) {
  const std::vector<std::string> files = {"bframes.mp4", "lossless.mkv", "small.mkv", "text.mp4"};
  std::string list = "path,label\n";
  for (int row = 0; row < rows; ++row) {
    list += fmt::format("{},{}\n", files[static_cast<std::size_t>(row) % files.size()], row % 5);
  }
  write_text(folder / "list.csv", list);
  write_text(folder / "c.yaml", tiny_config("{type: list, file: list.csv, max_failures: 0.25}"));
}

// All rows in one run: 600 here, 5,000 with CFP_LONG_TESTS=1. Edges and tubes are on.
TEST(Memory, NeitherMemoryNorFilesNorThreadsGrowBehindTheHundredthClip) {
  if (kHasAddressSanitizer) {
    GTEST_SKIP() << "a sanitizer keeps freed memory, so the process grows anyway";
  }
  const TemporaryFolder folder;
  write_media(folder / "bframes.mp4",
              {{.encoder = "mpeg4", .pixel_format = "yuv420p", .b_frames = 2}});
  write_media(folder / "lossless.mkv", {{}});
  write_media(folder / "small.mkv", {{.width = 32, .height = 32, .frames = 9}});
  write_text(folder / "text.mp4", "every fourth row is a failure");
  const int rows = long_tests() ? 5000 : 600;
  write_list(folder.path(), rows);
  const auto [some, all] =
      watch_run(folder.path(), {"run", "c.yaml", "-q", "runtime.threads_per_device=1",
                                fmt::format("output.part_clips={}", kClipsOfAPart)});
  fmt::print("clip 100: {} kB, {} files, {} threads; clip {}: {} kB, {} files, {} threads\n",
             some.memory_kb, some.files, some.threads, rows, all.memory_kb, all.files, all.threads);
  EXPECT_LE(all.memory_kb - some.memory_kb, 16'000);
  // A file that is open for a moment, of a part, the log or a video, may be seen or not.
  EXPECT_LE(all.files, some.files + 8);
  EXPECT_LE(all.threads, some.threads);
}

}  // namespace
}  // namespace cfp::test
