// Runs in shards: any number of them gives what a run in one piece gives.
#include <thread>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>

#include "tests/integration/many_clips.h"
#include "tests/support/run_command.h"

namespace cfp::test {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class Shards : public testing::Test {
 protected:
  void SetUp() override {
    if (!clips_.reason().empty()) GTEST_SKIP() << clips_.reason();
  }
  ProgramResult run_shard(const std::string& work_dir, int index, int count,
                          std::vector<std::string> more = {}) {
    more.insert(more.end(), {"--shard", fmt::format("{}/{}", index, count)});
    return run_program(clips_.run(work_dir, more), clips_.path());
  }
  ProgramResult cfp(const std::vector<std::string>& arguments) {
    return run_program(arguments, clips_.path());
  }

  const ManyClips& clips_ = ManyClips::get();
};

TEST_F(Shards, AnyNumberGivesTheSameAsARunInOnePiece) {
  std::vector<int> counts = {1, 3};
  if (long_tests()) counts = {1, 2, 3, 7, 64};
  for (const int count : counts) {
    const std::string work_dir = fmt::format("of{}", count);
    for (int i = 0; i < count; ++i) {
      const ProgramResult shard = run_shard(work_dir, i, count);
      ASSERT_EQ(shard.exit_code, 0) << shard.out << shard.err;
    }
    const ProgramResult merged = cfp({"merge", work_dir + "/", "-q"});
    ASSERT_EQ(merged.exit_code, 0) << merged.err;
    EXPECT_EQ(clips_.difference(work_dir, "--rows"), "") << count << " shards";
    fmt::print("{} shards: equal\n", count);
  }
}

// What a run computed and what its parts hold of it differ; tables and page are of the latter.
TEST_F(Shards, OfRoundedNumbersGiveTheSameTablesAndPage) {
  const std::vector<std::string> rounded = {"output.tubes=uint8", "output.edge_scores=uint16"};
  ASSERT_EQ(cfp(clips_.run("rounded", rounded)).exit_code, 0);
  for (const int i : {0, 1}) ASSERT_EQ(run_shard("rounded2", i, 2, rounded).exit_code, 0);
  ASSERT_EQ(cfp({"merge", "rounded2", "-q"}).exit_code, 0);
  const CommandResult compared = run_command(fmt::format(
      "{} {}/tests/integration/compare_runs.py {} {} --rows", python_with("h5py", CFP_SOURCE_DIR),
      CFP_SOURCE_DIR, (clips_ / "rounded").string(), (clips_ / "rounded2").string()));
  EXPECT_EQ(compared.output, "equal\n");
}

TEST_F(Shards, MergeNamesWhatIsMissingAndStatusShowsIt) {
  ASSERT_EQ(run_shard("some", 2, 5).exit_code, 0);
  ASSERT_EQ(run_shard("some", 0, 5).exit_code, 0);
  const ProgramResult merged = cfp({"merge", "some"});
  EXPECT_EQ(merged.exit_code, 2);
  EXPECT_THAT(merged.err, HasSubstr("3 of 5 shards are not at their end"));
  EXPECT_THAT(merged.err, HasSubstr("00001-of-00005: not begun, 0 of 40 rows"));
  EXPECT_FALSE(fs::exists(clips_ / "some/merged.h5"));
  const ProgramResult status = cfp({"status", "some"});
  EXPECT_EQ(status.exit_code, 0) << status.err;
  EXPECT_THAT(status.out, HasSubstr("tiny: 80 of 200 clips, 3 failed"));
  EXPECT_THAT(status.out, HasSubstr("5 shards: 3 not begun, 2 done"));

  for (const int i : {1, 3, 4}) ASSERT_EQ(run_shard("some", i, 5).exit_code, 0);
  // A part goes missing, or comes twice: rows are counted, not trusted.
  const fs::path part = clips_ / "some/shards/00001-of-00005/part-00001.h5";
  fs::rename(part, clips_ / "aside.h5");
  const ProgramResult gap = cfp({"merge", "some"});
  EXPECT_EQ(gap.exit_code, 4);
  EXPECT_THAT(gap.err, HasSubstr("of the manifest are in no part"));
  fs::copy(clips_ / "aside.h5", part);
  fs::copy(clips_ / "aside.h5", clips_ / "some/shards/00001-of-00005/part-00099.h5");
  EXPECT_THAT(cfp({"merge", "some"}).err, HasSubstr("of the manifest is there twice"));
  fs::remove(clips_ / "some/shards/00001-of-00005/part-00099.h5");
  EXPECT_EQ(cfp({"merge", "some", "-q"}).exit_code, 0);
  EXPECT_EQ(clips_.difference("some", "--rows"), "");
  // Everything that reads a run reads its shards.
  const ProgramResult graph = cfp({"export-graph", "some", "gone.mp4", "--no-routes"});
  EXPECT_EQ(graph.exit_code, 2);
  EXPECT_THAT(graph.err, HasSubstr("the run could not explain"));
}

TEST_F(Shards, OfAnotherRunAreRefused) {
  ASSERT_EQ(run_shard("mixed", 0, 40).exit_code, 0);
  const ProgramResult other = run_shard("mixed", 1, 40, {"explain.threshold=0.4"});
  EXPECT_EQ(other.exit_code, 2);
  EXPECT_THAT(other.err, HasSubstr("holds shards of another run"));
  EXPECT_THAT(other.err, HasSubstr("explain.threshold: 0.3 there, 0.4 now"));
  EXPECT_THAT(other.err, HasSubstr("--resume=force does not help here"));
  const ProgramResult divided = run_shard("mixed", 1, 8);
  EXPECT_EQ(divided.exit_code, 2);
  EXPECT_THAT(divided.err, HasSubstr("holds shards of a division into 40, not into 8"));
  EXPECT_FALSE(fs::exists(clips_ / "mixed/shards/00001-of-00008"))
      << "what is refused leaves nothing";
  const ProgramResult piece = cfp(clips_.run("mixed"));
  EXPECT_EQ(piece.exit_code, 2);
  EXPECT_THAT(piece.err, HasSubstr("holds shards"));
  const ProgramResult shard = run_shard("whole", 0, 2);
  EXPECT_EQ(shard.exit_code, 2);
  EXPECT_THAT(shard.err, HasSubstr("holds a run in one piece"));
}

TEST_F(Shards, BesideARunInItsFirstPartAreRefused) {
  Program piece(clips_.run("begun", {"output.part_clips=1000"}), clips_.path());
  for (int i = 0; i < 600 && !fs::exists(clips_ / "begun/running.json"); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  piece.signal(SIGSTOP);
  const ProgramResult shard = run_shard("begun", 0, 2);
  piece.signal(SIGCONT);
  EXPECT_EQ(shard.exit_code, 2);
  EXPECT_THAT(shard.err, HasSubstr("holds a run in one piece"));
  EXPECT_EQ(piece.wait().exit_code, 0);
  EXPECT_FALSE(fs::exists(clips_ / "begun/shards"));
}

TEST_F(Shards, TheSameOneTwiceIsNoticed) {
  Program first(clips_.run("twice", {"--shard", "0/1"}), clips_.path());
  // The last of what shards share: by then the first one is at work.
  const fs::path shared = clips_ / "twice/manifest.csv";
  for (int i = 0; i < 600 && !fs::exists(shared); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  first.signal(SIGSTOP);  // it lives, however long the second one takes to start
  const ProgramResult second = run_shard("twice", 0, 1);
  const ProgramResult status = cfp({"status", "twice"});
  first.signal(SIGCONT);
  EXPECT_EQ(second.exit_code, 4);
  EXPECT_THAT(second.err, HasSubstr("another run is writing in"));
  EXPECT_THAT(status.out, HasSubstr("running"));
  EXPECT_EQ(first.wait().exit_code, 0);
}

TEST_F(Shards, FindsItsPlaceInAnArray) {
  setenv("SGE_TASK_ID", "40", 1);
  setenv("SGE_TASK_FIRST", "1", 1);
  setenv("SGE_TASK_LAST", "40", 1);
  const ProgramResult shard = cfp(clips_.run("array"));
  const ProgramResult all = cfp(clips_.run("all", {"--shard", "none"}));
  unsetenv("SGE_TASK_ID");
  EXPECT_EQ(shard.exit_code, 0) << shard.err;
  EXPECT_THAT(shard.out, HasSubstr("shard 39 of 40 (SGE_TASK_ID=40)"));
  EXPECT_TRUE(fs::exists(clips_ / "array/shards/00039-of-00040/run.json"));
  EXPECT_EQ(all.exit_code, 0) << all.err;
  EXPECT_EQ(clips_.difference("all"), "");
}

TEST_F(Shards, TheExampleReadsPartsAndMergedFiles) {
  const std::string python = python_with("h5py", CFP_SOURCE_DIR);
  ASSERT_EQ(run_shard("read", 0, 1).exit_code, 0);
  const auto example = [&](const std::string& file) {
    return run_command(fmt::format("{} {}/scripts/read_results.py {}", python, CFP_SOURCE_DIR,
                                   (clips_ / file).string()));
  };
  const CommandResult part = example("whole/part-00000.h5");
  ASSERT_EQ(part.exit_code, 0) << part.output;
  for (const char* how : {"", "--copy"}) {
    std::vector<std::string> merge = {"merge", "read", "-q"};
    if (*how != '\0') merge.emplace_back(how);
    ASSERT_EQ(cfp(merge).exit_code, 0);
    const CommandResult merged = example("read/merged.h5");
    EXPECT_EQ(merged.exit_code, 0) << merged.output;
    // The first part has the first clips of all.
    EXPECT_EQ(merged.output.substr(0, part.output.size()), part.output) << how;
    EXPECT_EQ(clips_.difference("read", "--rows"), "") << how;
  }
}

}  // namespace
}  // namespace cfp::test
