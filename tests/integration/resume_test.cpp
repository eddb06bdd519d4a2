// Runs that are killed and go on: real processes, real signals.
#include <chrono>
#include <random>
#include <thread>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include "tests/integration/many_clips.h"

namespace cfp::test {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class Resume : public testing::Test {
 protected:
  void SetUp() override {
    if (!clips_.reason().empty()) GTEST_SKIP() << clips_.reason();
  }
  /// Starts a run and sends it a signal after a while; it may have come to its end before.
  ProgramResult disturb(const std::vector<std::string>& arguments, int signal, double after_s) {
    Program program(arguments, clips_.path());
    std::this_thread::sleep_for(std::chrono::duration<double>(after_s));
    program.signal(signal);
    return program.wait();
  }

  const ManyClips& clips_ = ManyClips::get();
};

/// Kills a run again and again at random moments and begins anew when it came to its end.
/// @return how often it was killed
int kill_often(const ManyClips& clips, const std::vector<std::string>& arguments, int kills,
               std::mt19937& random, const std::function<void()>& at_its_end) {
  std::uniform_real_distribution<double> moment(0, 1.2 * clips.seconds());
  int killed = 0;
  while (killed < kills) {
    Program program(arguments, clips.path());
    std::this_thread::sleep_for(std::chrono::duration<double>(moment(random)));
    program.signal(SIGKILL);
    const ProgramResult result = program.wait();
    if (result.exit_code == 128 + SIGKILL) {
      ++killed;
      continue;
    }
    EXPECT_EQ(result.exit_code, 0) << result.err;
    if (result.exit_code != 0) return killed;
    at_its_end();
  }
  return killed;
}

TEST_F(Resume, AKilledRunEndsAsAnUndisturbedOne) {
  std::mt19937 random(random_seed());
  const std::vector<std::string> arguments = clips_.run("killed");
  int ends = 0;
  const auto at_its_end = [&] {
    EXPECT_EQ(clips_.difference("killed"), "");
    fs::remove_all(clips_ / "killed");
    ++ends;
  };
  const int killed = kill_often(clips_, arguments, long_tests() ? 50 : 6, random, at_its_end);
  const ProgramResult last = run_program(arguments, clips_.path());
  ASSERT_EQ(last.exit_code, 0) << last.err;
  at_its_end();
  fmt::print("killed {} times, {} runs came to their end\n", killed, ends);
}

TEST_F(Resume, KilledShardsMergeToAnUndisturbedRun) {
  std::mt19937 random(random_seed());
  int killed = 0;
  for (int shard = 0; shard < 4; ++shard) {
    const auto arguments = clips_.run("shards", {"--shard", fmt::format("{}/4", shard)});
    killed += kill_often(clips_, arguments, long_tests() ? 13 : 1, random, [&] {
      fs::remove_all(clips_ / fmt::format("shards/shards/{:05}-of-00004", shard));
    });
    const ProgramResult last = run_program(arguments, clips_.path());
    ASSERT_EQ(last.exit_code, 0) << last.err;
  }
  const ProgramResult merged = run_program({"merge", "shards", "-q"}, clips_.path());
  ASSERT_EQ(merged.exit_code, 0) << merged.err;
  EXPECT_EQ(clips_.difference("shards", "--rows"), "");
  fmt::print("four shards killed {} times\n", killed);
}

TEST_F(Resume, SignalsOfABatchSystemStopItWithWholeParts) {
  std::mt19937 random(random_seed());
  // Late enough to have begun, early enough not to have ended.
  std::uniform_real_distribution<double> moment(0.5 * clips_.seconds(), 0.9 * clips_.seconds());
  for (const auto& [signal, code] : {std::pair{SIGTERM, 75}, {SIGUSR1, 75}, {SIGINT, 130}}) {
    const std::string work_dir = fmt::format("stopped{}", signal);
    const ProgramResult stopped = disturb(clips_.run(work_dir), signal, moment(random));
    if (stopped.exit_code == 0) continue;  // came to its end before
    // A signal before there was anybody to note it ends the program as usual.
    if (stopped.exit_code == 128 + signal) continue;
    EXPECT_EQ(stopped.exit_code, code) << stopped.err;
    EXPECT_THAT(stopped.err, HasSubstr("the same command goes on from there"));
    const auto end = read_json(clips_ / (work_dir + "/run.json"));
    EXPECT_EQ(end["state"], "stopped");
    const ProgramResult last = run_program(clips_.run(work_dir), clips_.path());
    EXPECT_EQ(last.exit_code, 0) << last.err;
    EXPECT_EQ(read_json(clips_ / (work_dir + "/run.json"))["done"],
              read_json(clips_ / "whole/run.json")["done"]);
    // The parts may be cut otherwise; merged, every row must be the same.
    EXPECT_EQ(run_program({"merge", work_dir, "-q", "--copy"}, clips_.path()).exit_code, 0);
    EXPECT_EQ(clips_.difference(work_dir, "--rows"), "");
  }
}

TEST_F(Resume, ACompleteRunHasNothingToDo) {
  const std::string before = read_text(clips_ / "whole/run.json");
  const ProgramResult again = run_program(clips_.run("whole"), clips_.path());
  EXPECT_EQ(again.exit_code, 0) << again.err;
  EXPECT_THAT(again.out, HasSubstr("Nothing to do: whole is complete"));
  EXPECT_EQ(read_text(clips_ / "whole/run.json"), before);
}

TEST_F(Resume, SaysWhatDiffers) {
  const auto refuse = [&](const std::vector<std::string>& more, const std::string& what) {
    const ProgramResult result = run_program(clips_.run("whole", more), clips_.path());
    EXPECT_EQ(result.exit_code, 2) << result.out;
    EXPECT_THAT(result.err, HasSubstr("holds results that this run cannot go on from"));
    EXPECT_THAT(result.err, HasSubstr(what));
    EXPECT_THAT(result.err, HasSubstr("--fresh"));
  };
  refuse({"explain.threshold=0.4"}, "explain.threshold: 0.3 there, 0.4 now");
  refuse({"network.seed=7"}, "weights: hash");
  const std::string list = read_text(clips_ / "list.csv");
  write_text(clips_ / "list.csv", list + "another.mp4,1\n");
  refuse({}, "manifest (the clips and their labels): hash");
  write_text(clips_ / "list.csv", list);
  EXPECT_EQ(clips_.difference("whole"), "") << "a refusal changed the results";
}

TEST_F(Resume, OfOtherNamesOfClassesIsRefused) {
  write_text(clips_ / "names.txt", "a\nb\nc\nd\ne\n");
  const std::vector<std::string> named = {"network.class_names=names.txt", "dataset.max_clips=24",
                                          "network.num_classes=5"};
  ASSERT_EQ(run_program(clips_.run("named", named), clips_.path()).exit_code, 0);
  write_text(clips_ / "names.txt", "e\nd\nc\nb\na\n");
  const ProgramResult other = run_program(clips_.run("named", named), clips_.path());
  EXPECT_EQ(other.exit_code, 2) << other.out;
  EXPECT_THAT(other.err, HasSubstr("names of classes: output 0 is 'a' there, 'e' now"));
}

TEST_F(Resume, ForceRefusesClipsOfOtherLayers) {
  fs::copy(clips_ / "whole", clips_ / "shallow");
  fs::remove(clips_ / "shallow/part-00024.h5");
  const ProgramResult result =
      run_program(clips_.run("shallow", {"--resume=force", "explain.depth=2"}), clips_.path());
  EXPECT_EQ(result.exit_code, 2) << result.err;
  EXPECT_THAT(result.err, HasSubstr("part-00000.h5': its pyramids have"));
  EXPECT_THAT(result.err, HasSubstr("those of this run 3 ("));
}

TEST_F(Resume, WhatIsRefusedHasLostNothing) {
  const auto shard = [&](std::vector<std::string> more) {
    more.insert(more.end(), {"--shard", "0/10"});
    return run_program(clips_.run("kept", more), clips_.path());
  };
  ASSERT_EQ(shard({}).exit_code, 0);
  const ProgramResult other = shard({"--fresh", "explain.threshold=0.4"});
  EXPECT_EQ(other.exit_code, 2);
  EXPECT_THAT(other.err, HasSubstr("holds shards of another run"));
  EXPECT_TRUE(fs::exists(clips_ / "kept/shards/00000-of-00010/part-00000.h5"));
}

TEST_F(Resume, AStoppedRunRendersNothing) {
  Program program(clips_.run("unrendered", {"output.render=200"}), clips_.path());
  ASSERT_TRUE(wait_until([&] { return fs::exists(clips_ / "unrendered/part-00000.h5"); }));
  program.signal(SIGTERM);
  const ProgramResult stopped = program.wait();
  EXPECT_EQ(stopped.exit_code, 75) << stopped.out << stopped.err;
  EXPECT_TRUE(fs::exists(clips_ / "unrendered/run.json"));
  EXPECT_FALSE(fs::exists(clips_ / "unrendered/overlays"));
}

TEST_F(Resume, ForceKeepsTheRowsOfTheSameClipsAndFreshKeepsNothing) {
  fs::copy(clips_ / "whole", clips_ / "forced");
  fs::remove(clips_ / "forced/part-00024.h5");
  const std::string list = read_text(clips_ / "list.csv");
  write_text(clips_ / "list.csv", list + "another.mp4,1\n");
  const ProgramResult forced =
      run_program(clips_.run("forced", {"--resume=force", "explain.threshold=0.4"}), clips_.path());
  EXPECT_EQ(forced.exit_code, 0) << forced.err;
  EXPECT_EQ(read_json(clips_ / "forced/run.json")["asked"], ManyClips::kRows + 1);
  // Its readers accept the parts of two configs, because the last one says that it goes on from
  // them.
  EXPECT_EQ(run_program({"merge", "forced", "-q"}, clips_.path()).exit_code, 0);
  // Another first clip: nothing can be kept.
  write_text(clips_ / "list.csv", "path,label\nother.mp4,0\n" + list.substr(list.find('\n') + 1));
  const ProgramResult other = run_program(clips_.run("forced", {"--resume=force"}), clips_.path());
  EXPECT_EQ(other.exit_code, 2);
  EXPECT_THAT(other.err, HasSubstr("only results of the very clips that the manifest begins with"));
  write_text(clips_ / "list.csv", list);
  const ProgramResult fresh = run_program(clips_.run("forced", {"--fresh"}), clips_.path());
  EXPECT_EQ(fresh.exit_code, 0) << fresh.err;
  EXPECT_EQ(clips_.difference("forced"), "");
}

TEST_F(Resume, NamesAPartThatIsMissingOrDamaged) {
  fs::copy(clips_ / "whole", clips_ / "broken");
  fs::remove(clips_ / "broken/part-00003.h5");
  const ProgramResult missing = run_program(clips_.run("broken"), clips_.path());
  EXPECT_EQ(missing.exit_code, 4);
  EXPECT_THAT(missing.err, HasSubstr("part-00003.h5' is missing"));
  write_text(clips_ / "broken/part-00003.h5", "not HDF5");
  const ProgramResult damaged = run_program(clips_.run("broken"), clips_.path());
  EXPECT_EQ(damaged.exit_code, 4);
  EXPECT_THAT(damaged.err, HasSubstr("part-00003.h5"));
  EXPECT_THAT(damaged.err, HasSubstr("Remove it and the parts behind it"));
}

}  // namespace
}  // namespace cfp::test
