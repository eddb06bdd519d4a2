// Real signals to a real run: it ends soon, with its own exit code, and keeps what was finished.
#include <chrono>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include "results/store/part_reader.h"
#include "tests/integration/program.h"
#include "tests/support/test_data.h"

namespace cfp::test {
namespace {

namespace fs = std::filesystem;

constexpr int kRows = 20'000;

class Interrupt : public testing::Test {
 protected:
  void SetUp() override {
    make_video(folder_ / "one.mkv");
    std::string list;
    for (int i = 0; i < kRows; ++i) list += "one.mkv 0\n";
    write_text(folder_ / "list.txt", list);
    // One part: what was finished is in it, and no other was.
    write_text(folder_ / "c.yaml",
               tiny_config("{type: list, file: list.txt}") + "  part_clips: 100000\n");
  }
  /// Waits until the run has done something.
  void wait_for_ready() const {
    for (int i = 0; i < 600; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
      const fs::path log = folder_ / "out/log.jsonl";
      if (fs::exists(log) && read_text(log).find("\"ready\"") != std::string::npos) return;
    }
    FAIL() << "the run did not begin within 30 s";
  }
  /// A stopped run: counts agree, and the part is whole.
  void expect_whole(const char* state) const {
    const auto end = read_json(folder_ / "out/run.json");
    EXPECT_EQ(end["state"], state);
    EXPECT_EQ(end["failed"], 0);
    EXPECT_GT(end["done"], 0);
    EXPECT_LT(end["done"], kRows);
    const PartReader part(folder_ / "out/part-00000.h5");
    EXPECT_EQ(part.clips(), end["done"].get<std::int64_t>());
    EXPECT_EQ(part.read(part.clips() - 1).logits.size(), 5u);
    EXPECT_EQ(read_json(folder_ / "out/summary.json")["clips"]["done"], end["done"]);
    EXPECT_TRUE(fs::exists(folder_ / "out/summary.html"));
  }

  TemporaryFolder folder_;
};

TEST_F(Interrupt, ControlCKeepsWhatWasFinished) {
  Program program({"run", "c.yaml"}, folder_.path());
  wait_for_ready();
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  program.signal(SIGINT);
  const auto start = std::chrono::steady_clock::now();
  const ProgramResult result = program.wait();
  // A few batches are in flight, some milliseconds each; half a minute would be a hang.
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(30));
  EXPECT_EQ(result.exit_code, 130) << result.err;
  EXPECT_THAT(result.err, testing::HasSubstr("stopped by ^C after"));
  expect_whole("stopped");
}

TEST_F(Interrupt, TerminationIsResumable) {
  Program program({"run", "c.yaml"}, folder_.path());
  wait_for_ready();
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  program.signal(SIGTERM);
  EXPECT_EQ(program.wait().exit_code, 75);
  expect_whole("stopped");
}

TEST_F(Interrupt, KillLeavesNothingUnderAFinalName) {
  Program program({"run", "c.yaml"}, folder_.path());
  wait_for_ready();
  program.signal(SIGKILL);
  EXPECT_EQ(program.wait().exit_code, 128 + SIGKILL);
  EXPECT_FALSE(fs::exists(folder_ / "out/part-00000.h5"));
  EXPECT_FALSE(fs::exists(folder_ / "out/run.json"));
  // The next run goes over what is left without being told to.
  write_text(folder_ / "list.txt", "one.mkv 0\n");
  EXPECT_EQ(run_program({"run", "c.yaml"}, folder_.path()).exit_code, 0);
}

}  // namespace
}  // namespace cfp::test
