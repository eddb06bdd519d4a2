// Sweeps: many settings, shared work, each point as it would be alone.
#include <chrono>
#include <sstream>
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
using testing::Not;

class Sweep : public testing::Test {
 protected:
  void SetUp() override {
    if (!clips_.reason().empty()) GTEST_SKIP() << clips_.reason();
  }
  ProgramResult cfp(const std::vector<std::string>& arguments) {
    return run_program(arguments, clips_.path());
  }
  /// A sweep of 40 clips; every run needs the same of these.
  std::vector<std::string> sweep(const std::string& work_dir,
                                 const std::vector<std::string>& more) {
    std::vector<std::string> arguments = {"sweep",
                                          "c.yaml",
                                          "-q",
                                          "dataset.max_clips=40",
                                          "output.part_clips=8",
                                          "runtime.threads_per_device=1",
                                          "output.work_dir=" + work_dir};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  }
  /// Lines of sweep.csv, without times.
  std::vector<std::string> table(const std::string& work_dir) {
    std::vector<std::string> lines;
    std::istringstream text(read_text(clips_ / (work_dir + "/sweep.csv")));
    for (std::string line; std::getline(text, line);) {
      for (int times = 0; times < 3; ++times) line.resize(line.rfind(','));
      lines.push_back(line);
    }
    return lines;
  }
  /// What a point says of its pyramids and classes.
  nlohmann::json summary(const std::string& folder) {
    nlohmann::json json = read_json(clips_ / (folder + "/summary.json"));
    return {json["clips"], json["accuracy"], json["pyramid"], json["class_overlap"]};
  }

  const ManyClips& clips_ = ManyClips::get();
};

TEST_F(Sweep, GivesEachPointWhatItsRunAloneGives) {
  const ProgramResult result =
      cfp(sweep("grid", {"explain.threshold=0.2,0.6", "explain.method=gradient,response"}));
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const auto lines = table("grid");
  ASSERT_EQ(lines.size(), 5u);
  EXPECT_THAT(lines[0], HasSubstr("point,explain.threshold,explain.method,state,done,failed,top1"));
  EXPECT_THAT(lines[1], HasSubstr("\"threshold=0.2,method=gradient\",0.2,gradient,complete,38,2,"));
  for (const char* threshold : {"0.2", "0.6"}) {
    for (const char* method : {"gradient", "response"}) {
      const std::string point = fmt::format("grid/threshold={},method={}", threshold, method);
      std::vector<std::string> settings = {"dataset.max_clips=40",
                                           fmt::format("explain.threshold={}", threshold),
                                           fmt::format("explain.method={}", method)};
      ASSERT_EQ(cfp(clips_.run("alone", settings)).exit_code, 0);
      EXPECT_EQ(summary(point), summary("alone")) << point;
      fs::remove_all(clips_ / "alone");
      // It is the same run: going on from it finds nothing to do.
      const ProgramResult again = cfp(clips_.run(point, settings));
      EXPECT_THAT(again.out, HasSubstr("Nothing to do")) << again.err;
    }
  }
  EXPECT_NE(summary("grid/threshold=0.2,method=gradient"),
            summary("grid/threshold=0.6,method=gradient"));
}

TEST_F(Sweep, ListsItsJobsAndDoesOneOfThem) {
  const std::vector<std::string> settings = {"explain.threshold=0.2,0.6", "network.seed=1,2"};
  const auto with = [&](const std::vector<std::string>& more) {
    std::vector<std::string> arguments = sweep("jobs", settings);
    arguments.insert(arguments.end(), more.begin(), more.end());
    return cfp(arguments);
  };
  const ProgramResult list = with({"--list"});
  EXPECT_EQ(list.exit_code, 0) << list.err;
  EXPECT_THAT(list.out, HasSubstr("tiny: 4 points, 2 jobs"));
  EXPECT_THAT(list.out, HasSubstr("    1  threshold=0.2,seed=2  not begun"));
  EXPECT_FALSE(fs::exists(clips_ / "jobs"));
  ASSERT_EQ(with({"--job", "1"}).exit_code, 0);
  EXPECT_THAT(table("jobs")[1], HasSubstr(",0.2,1,not begun,"));
  EXPECT_THAT(table("jobs")[2], HasSubstr(",0.2,2,complete,38,2,"));
  EXPECT_THAT(table("jobs")[4], HasSubstr(",0.6,2,complete,38,2,"));
  const ProgramResult none = with({"--job", "2"});
  EXPECT_EQ(none.exit_code, 2);
  EXPECT_THAT(none.err, HasSubstr("--job 2: the sweep has 2 jobs"));
}

TEST_F(Sweep, GoesOnAfterAKill) {
  const auto settings =
      sweep("killed_sweep", {"explain.threshold=0.2,0.4,0.6", "explain.depth=2,all"});
  ASSERT_EQ(cfp(settings).exit_code, 0);
  const auto whole = table("killed_sweep");
  fs::remove_all(clips_ / "killed_sweep");
  for (const double share : {0.3, 0.6}) {
    Program program(settings, clips_.path());
    std::this_thread::sleep_for(std::chrono::duration<double>(share * clips_.seconds()));
    program.signal(SIGKILL);
    program.wait();
  }
  // A point that lags behind: the others have its clips already.
  fs::remove(clips_ / "killed_sweep/threshold=0.4,depth=2/part-00001.h5");
  fs::remove(clips_ / "killed_sweep/threshold=0.4,depth=2/part-00002.h5");
  fs::remove(clips_ / "killed_sweep/threshold=0.4,depth=2/part-00003.h5");
  fs::remove(clips_ / "killed_sweep/threshold=0.4,depth=2/part-00004.h5");
  const ProgramResult last = cfp(settings);
  ASSERT_EQ(last.exit_code, 0) << last.err;
  EXPECT_EQ(table("killed_sweep"), whole);
}

TEST_F(Sweep, ReadsItsSectionAndSaysWhatIsWrong) {
  write_text(clips_ / "s.yaml",
             read_text(clips_ / "c.yaml") + "sweep:\n  explain.threshold: [0.2, 0.6]\n");
  const ProgramResult run = cfp({"run", "s.yaml"});
  EXPECT_EQ(run.exit_code, 2);
  EXPECT_THAT(run.err, HasSubstr("s.yaml:12:3: sweep: `cfp run` does a single run"));
  const ProgramResult list = cfp({"sweep", "s.yaml", "--list"});
  EXPECT_THAT(list.out, HasSubstr("2 points, 1 jobs"));
  const ProgramResult single = cfp({"sweep", "s.yaml", "explain.threshold=0.4", "--list"});
  EXPECT_THAT(single.out, HasSubstr("1 points, 1 jobs"));
  EXPECT_THAT(single.out, HasSubstr("threshold=0.4  not begun"));
  const auto fails = [&](const std::vector<std::string>& words, const std::string& what) {
    std::vector<std::string> arguments = {"sweep", "s.yaml"};
    arguments.insert(arguments.end(), words.begin(), words.end());
    const ProgramResult result = cfp(arguments);
    EXPECT_EQ(result.exit_code, 2) << result.out;
    EXPECT_THAT(result.err, HasSubstr(what));
  };
  fails({"explain.threshold=0.2,2"}, "point threshold=2: command line: explain.threshold");
  fails({"explain.treshold=0.2,0.3"}, "did you mean");
  fails({"output.work_dir=a,b"}, "output.work_dir cannot be swept");
  fails({"explain.threshold=0.4,0.4"}, "points 0 and 1 are the same: explain.threshold=0.4");
  fails({"--zip", "explain.top_n=1,2,3"}, "zip needs as many values of each key");
}

// Jobs of an array end when they like, and each writes the table.
TEST_F(Sweep, JobsThatEndAtOnceLeaveATableOfAllOfThem) {
  const auto settings = sweep("array", {"dataset.max_clips=2", "network.seed=1,2,3,4,5,6,7,8"});
  for (int round = 0; round < 3; ++round) {
    std::vector<Program> jobs;
    for (int job = 0; job < 8; ++job) {
      std::vector<std::string> arguments = settings;
      arguments.insert(arguments.end(), {"--job", std::to_string(job)});
      if (round > 0) arguments.emplace_back("--fresh");
      jobs.emplace_back(arguments, clips_.path());
    }
    for (Program& job : jobs) {
      const ProgramResult ended = job.wait();
      EXPECT_EQ(ended.exit_code, 0) << ended.err;
    }
    const auto lines = table("array");
    ASSERT_EQ(lines.size(), 9u);
    for (std::size_t i = 1; i < lines.size(); ++i) {
      EXPECT_THAT(lines[i], HasSubstr(",complete,")) << lines[i];
    }
  }
}

TEST_F(Sweep, OfNetworksDoesTheOthersWhereOneFails) {
  const ProgramResult result =
      cfp(sweep("networks", {"network.checkpoint=gone.pth,random", "explain.depth=1"}));
  EXPECT_EQ(result.exit_code, 4) << result.err;
  EXPECT_THAT(result.err, HasSubstr("point checkpoint=gone"));
  EXPECT_THAT(table("networks")[2], HasSubstr("checkpoint=random,random,complete,38,2,"));
}

}  // namespace
}  // namespace cfp::test
