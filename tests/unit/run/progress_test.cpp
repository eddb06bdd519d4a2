#include "pipeline/run/progress.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "stages/core/c_handle.h"

namespace cfp {
namespace {

TEST(Progress, SaysHowFarAndHowLong) {
  EXPECT_EQ(describe_progress({.rows = 500}), "0/500 clips");
  EXPECT_EQ(describe_progress({.rows = 500, .done = 97, .failed = 3, .elapsed_s = 20}),
            "100/500 clips, 3 failed, 5.0 clips/s, 1:20 left");
  EXPECT_EQ(describe_progress({.rows = 100'000, .done = 1, .elapsed_s = 1}),
            "1/100000 clips, 1.0 clips/s, 27:46:39 left");
}

TEST(Progress, DrawsABarOfConstantWidth) {
  EXPECT_EQ(draw_progress_bar({.rows = 4}, 8), "[........] 0/4 clips");
  EXPECT_EQ(draw_progress_bar({.rows = 4, .done = 2}, 8), "[####....] 2/4 clips");
  EXPECT_EQ(draw_progress_bar({.rows = 4, .done = 3, .failed = 1}, 8),
            "[########] 4/4 clips, 1 failed");
  EXPECT_EQ(draw_progress_bar({.rows = 0}, 8), "[........] 0/0 clips");
}

TEST(Progress, WritesLinesWhereThereIsNoTerminal) {
  const CPtr<std::FILE, std::fclose> file(std::tmpfile());
  {
    Progress progress(file.get(), 10, std::chrono::milliseconds(20));
    progress.add_done();
    progress.add_failed();
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
    EXPECT_EQ(progress.state().done, 1);
  }
  std::rewind(file.get());
  char text[200] = {};
  EXPECT_GT(std::fread(text, 1, sizeof(text) - 1, file.get()), 0u);
  EXPECT_THAT(text, testing::StartsWith("2/10 clips, 1 failed"));
  EXPECT_THAT(text, testing::Not(testing::HasSubstr("\r"))) << "a bar in a file";
}

TEST(Progress, EndsAtOnce) {
  const CPtr<std::FILE, std::fclose> file(std::tmpfile());
  const auto start = std::chrono::steady_clock::now();
  { const Progress progress(file.get(), 10); }
  // It would write in half a minute; ending must not wait for that.
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(5));
}

}  // namespace
}  // namespace cfp
