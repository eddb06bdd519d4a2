#include "pipeline/cluster/slurm.h"

#include <fstream>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "pipeline/cluster/shard.h"
#include "pipeline/cluster/shell_word.h"
#include "stages/core/errors.h"
#include "tests/support/run_command.h"
#include "tests/support/test_data.h"

namespace cfp {
namespace {

namespace fs = std::filesystem;
using test::CommandResult;
using test::run_command;
using test::TemporaryFolder;
using testing::HasSubstr;
using testing::Not;

SlurmJob some_job() {
  return {.name = "some run",
          .program = "/opt/cfp/bin/cfp",
          .folder = "/data",
          .config = "/data/c.yaml",
          .work_dir = "/data/out",
          .overrides = {},
          .grace_s = 20};
}

std::string error_of(const SlurmJob& job, const SlurmOptions& options) {
  try {
    check_submission(job, options);
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "no error";
}

TEST(ShellWord, IsReadBackByAShell) {
  for (const std::string word :
       {"plain", "", " ", "it's", "a \"b\" $HOME `ls` \\ * ~ #", "''", "a\nb", "-n", "ü", "!x"}) {
    const CommandResult echoed = run_command("printf '[%s]' " + shell_word(word));
    EXPECT_EQ(echoed.output, "[" + word + "]");
  }
  EXPECT_EQ(shell_word("explain.threshold=0.4"), "explain.threshold=0.4");
}

TEST(SlurmTimes, AreReadAsSbatchReadsThem) {
  EXPECT_EQ(time_limit_s("90"), 90 * 60);
  EXPECT_EQ(time_limit_s("90:30"), 90 * 60 + 30);
  EXPECT_EQ(time_limit_s("04:00:00"), 4 * 3600);
  EXPECT_EQ(time_limit_s("1-12"), 36 * 3600);
  EXPECT_EQ(time_limit_s("1-12:30"), 36 * 3600 + 30 * 60);
  EXPECT_EQ(time_limit_s("2-00:00:01"), 48 * 3600 + 1);
  for (const char* other : {"", "x", "-1", "1-", "1:2:3:4", "1-2-3", "4h", "1: 2", "99999999999"}) {
    EXPECT_FALSE(time_limit_s(other)) << other;
  }
}

TEST(Slurm, SaysWhatItCannotSubmit) {
  SlurmJob job = some_job();
  EXPECT_EQ(error_of(job, {.shards = 64, .time = "04:00:00"}), "no error");
  EXPECT_THAT(error_of(job, {.shards = 0}), HasSubstr("--shards: 0; allowed are 1 to 100000"));
  EXPECT_THAT(error_of(job, {.shards = 4, .time = "4h"}), HasSubstr("--time: '4h' is no time"));
  // 20 s for clips in flight and 60 s for writing.
  EXPECT_EQ(signal_lead_s(job.grace_s), 80);
  EXPECT_EQ(error_of(job, {.shards = 4, .time = "1:21"}), "no error");
  EXPECT_THAT(error_of(job, {.shards = 4, .time = "1:20"}),
              HasSubstr("--time: 80 s leave no time to work"));
  EXPECT_THAT(error_of(job, {.shards = 4, .more = {"array=1-4"}}),
              HasSubstr("`cfp submit` sets --array itself"));
  EXPECT_THAT(error_of(job, {.shards = 4, .more = {"--time=1"}}), HasSubstr("sets --time itself"));
  for (const char* option : {"", "--", "gres gpu:1", "a\nb", "-p x", "gres=gpu\n#SBATCH"}) {
    EXPECT_THAT(error_of(job, {.shards = 4, .more = {option}}), HasSubstr("is no long option"));
  }
  EXPECT_THAT(error_of(job, {.shards = 4, .partition = "a\nb"}), HasSubstr("--partition: holds"));
  job.grace_s = 65'476;
  EXPECT_THAT(error_of(job, {.shards = 4}), HasSubstr("runtime.grace_s: 65476 s"));
  for (const char* folder : {"/data/100%", "/data/a\\b", "/data/a\nb"}) {
    job = some_job();
    job.work_dir = folder;
    EXPECT_THAT(error_of(job, {.shards = 4}), HasSubstr("output.work_dir: '")) << folder;
  }
}

TEST(Slurm, ScriptsSayWhatWasAsked) {
  const SlurmOptions options{.shards = 64,
                             .gpus_per_task = 1,
                             .cpus_per_task = 4,
                             .max_running = 8,
                             .memory = "16G",
                             .time = "04:00:00",
                             .partition = "gpu",
                             .account = "a'b",
                             .qos = "long",
                             .more = {"exclusive", "--comment=for me \\ $you"}};
  const std::string shards = shards_script(some_job(), options);
  const std::string merge = merge_script(some_job(), options);
  for (const char* line : {"--ntasks=1", "--mem=16G", "--time=04:00:00", "--partition=gpu",
                           "--account='a'\\''b'", "--qos=long", "--exclusive",
                           "--comment='for me \\\\ $you'", "--requeue", "--open-mode=append"}) {
    EXPECT_THAT(shards, HasSubstr(fmt::format("\n#SBATCH {}\n", line)));
    EXPECT_THAT(merge, HasSubstr(fmt::format("\n#SBATCH {}\n", line)));
  }
  for (const char* line :
       {"--job-name='some run'", "--array=0-63%8", "--gpus-per-task=1", "--cpus-per-task=4",
        "--signal=USR1@80", "--output=/data/out/slurm/%A_%a.log"}) {
    EXPECT_THAT(shards, HasSubstr(fmt::format("\n#SBATCH {}\n", line)));
  }
  EXPECT_THAT(merge, Not(HasSubstr("gpus")));
  EXPECT_THAT(shards_script(some_job(), {.shards = 1}), HasSubstr("#SBATCH --array=0-0\n"));
  EXPECT_THAT(shards_script(some_job(), {.shards = 1}), Not(HasSubstr("per-task=")));
}

/// The shards' script in a real bash, with commands of Slurm that only note how they were called.
class ShardsScript : public testing::Test {
 protected:
  ShardsScript() {
    command("srun", "printf '%s\\n' \"$@\" >srun.txt; exit \"$EXIT_CODE\"");
    command("scontrol",
            "case $* in *show*) echo \"JobId=7 JobName=x JobState=$STATE Reason=None\";;"
            " *) echo \"$*\" >>scontrol.txt;; esac");
    job_.folder = folder_ / "it's $HOME";
    fs::create_directory(job_.folder);
    job_.config = "/data/a \"b\" $(c).yaml";
    job_.overrides = {"name=x y", "explain.threshold=0.4", "dataset.data_root='$HOME' \\ #"};
  }
  void command(const std::string& name, const std::string& body) {
    std::ofstream(folder_ / name) << "#!/bin/sh\ncd " << folder_.path().string() << "\n"
                                  << body << "\n";
    fs::permissions(folder_ / name, fs::perms::owner_all);
  }
  /// @return what the script printed and its exit code
  CommandResult run(int exit_code, const std::string& state, int restarts) {
    std::ofstream(folder_ / "script")
        << shards_script(job_, {.shards = 64, .cpus_per_task = 4, .max_restarts = 3});
    return run_command(fmt::format(
        "PATH={}:$PATH EXIT_CODE={} STATE={} SLURM_RESTART_COUNT={} SLURM_ARRAY_JOB_ID=12 "
        "SLURM_ARRAY_TASK_ID=5 bash {}/script",
        folder_.path().string(), exit_code, state, restarts, folder_.path().string()));
  }
  std::string lines(const std::string& name) const {
    std::ifstream file(folder_ / name);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  TemporaryFolder folder_;
  SlurmJob job_ = some_job();
};

TEST_F(ShardsScript, HandsEveryWordOverAsItIs) {
  EXPECT_EQ(run(0, "RUNNING", 0).exit_code, 0);
  EXPECT_EQ(lines("srun.txt"),
            "--ntasks=1\n--mpi=none\n--cpus-per-task=4\n/opt/cfp/bin/cfp\nrun\n"
            "/data/a \"b\" $(c).yaml\nname=x y\nexplain.threshold=0.4\n"
            "dataset.data_root='$HOME' \\ #\n--shard\n5/64\n");
}

TEST_F(ShardsScript, QueuesItsTaskAgainWhenItWasStopped) {
  const CommandResult stopped = run(75, "RUNNING", 2);
  EXPECT_EQ(stopped.exit_code, 75);
  EXPECT_EQ(lines("scontrol.txt"), "requeue 12_5\n");
}

TEST_F(ShardsScript, OutlivesASignalToItself) {
  command("srun", "kill -TERM $PPID; kill -USR1 $PPID; sleep 0.2; exit 75");
  EXPECT_EQ(run(0, "PREEMPTED", 0).exit_code, 75);
}

TEST_F(ShardsScript, LeavesEverythingElseAsItIs) {
  for (const int code : {0, 1, 2, 3, 4, 130, 137, 143}) {
    EXPECT_EQ(run(code, "RUNNING", 0).exit_code, code);
  }
  for (const char* state : {"CANCELLED", "PENDING", "TIMEOUT", "PREEMPTED"}) {
    EXPECT_EQ(run(75, state, 0).exit_code, 75) << state;
  }
  const CommandResult last = run(75, "RUNNING", 3);
  EXPECT_EQ(last.exit_code, 75);
  EXPECT_THAT(last.output, HasSubstr("restarted 3 times, which is the limit"));
  EXPECT_EQ(lines("scontrol.txt"), "");
  job_.folder = "/nowhere";
  EXPECT_EQ(run(0, "RUNNING", 0).exit_code, 4);
}

TEST(SlurmSubmissions, AreReadBack) {
  const std::vector<Submission> read = parse_submissions("64 12 13\n8 20 21\n");
  ASSERT_EQ(read.size(), 2u);
  EXPECT_EQ(read[1].shards, 8);
  EXPECT_EQ(read[1].shards_job, "20");
  EXPECT_EQ(read[1].merge_job, "21");
  EXPECT_TRUE(parse_submissions("").empty());
  EXPECT_THROW(parse_submissions("64 12\n"), SystemError);
}

}  // namespace
}  // namespace cfp
