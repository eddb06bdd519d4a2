// `cfp submit` on a real Slurm: tasks that are stopped, killed, cancelled and preempted.
#include <map>
#include <optional>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>

#include "tests/integration/many_clips.h"
#include "tests/integration/slurm_node.h"
#include "tests/support/run_command.h"

namespace cfp::test {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class Slurm : public testing::Test {
 protected:
  void SetUp() override {
    if (!clips_.reason().empty()) GTEST_SKIP() << clips_.reason();
    node_.emplace(clips_ / "node");
    if (!node_->reason().empty()) GTEST_SKIP() << node_->reason();
    // What a shell would read otherwise must reach the jobs as it is.
    fs::copy_file(clips_ / "c.yaml", clips_ / "it's $HOME.yaml", fs::copy_options::skip_existing);
    fs::create_directories(clips_ / work_dir_);
    fs::create_directory_symlink(work_dir_, clips_ / "results");
  }
  void TearDown() override {
    node_.reset();
    for (const char* name : {"node", "results", "it's $HOME"}) fs::remove_all(clips_ / name);
  }
  ProgramResult submit(int shards, const std::vector<std::string>& more = {}) {
    std::vector<std::string> arguments = {"submit",
                                          "it's $HOME.yaml",
                                          "output.part_clips=8",
                                          "runtime.threads_per_device=1",
                                          "runtime.decode_workers=1",
                                          "runtime.max_batches_in_flight=1",
                                          "output.work_dir=" + work_dir_,
                                          "--shards",
                                          std::to_string(shards),
                                          "--cpus-per-task=1",
                                          "--partition=low"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run_program(arguments, clips_.path());
  }
  /// Submits, and notes the jobs.
  void submit_now(int shards, const std::vector<std::string>& more = {}) {
    std::vector<std::string> arguments = {"--go"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const ProgramResult submitted = submit(shards, arguments);
    ASSERT_EQ(submitted.exit_code, 0) << submitted.out << submitted.err;
    const std::string jobs = read_text(clips_ / "results/slurm/jobs.txt");
    const std::string last = jobs.substr(jobs.rfind('\n', jobs.size() - 2) + 1);
    int count = 0, array = 0, merge = 0;
    ASSERT_EQ(std::sscanf(last.c_str(), "%d %d %d", &count, &array, &merge), 3) << jobs;
    EXPECT_EQ(count, shards);
    EXPECT_THAT(submitted.out, HasSubstr(fmt::format("shards: job {}, ", array)));
    EXPECT_THAT(submitted.out, HasSubstr(fmt::format("merge: job {}, ", merge)));
    array_ = std::to_string(array);
    merge_ = std::to_string(merge);
  }
  std::string task(int index) const { return fmt::format("{}_{}", array_, index); }
  fs::path shard(int index, int count) const {
    return clips_ / fmt::format("results/shards/{:05}-of-{:05}", index, count);
  }
  /// Stops the clocks of shards, each as soon as it has written a part and has more to do.
  /// @return their processes
  std::map<int, pid_t> freeze(const std::vector<int>& indexes, int count) {
    std::map<int, pid_t> processes;
    const auto freeze_those_that_wrote = [&] {
      for (const int index : indexes) {
        const fs::path folder = shard(index, count);
        if (processes.contains(index) || !fs::exists(folder / "part-00000.h5")) continue;
        processes[index] = read_json(folder / "running.json")["process"];
        EXPECT_EQ(kill(processes[index], SIGSTOP), 0);
        EXPECT_FALSE(fs::exists(folder / "run.json")) << index << " was too quick";
      }
      return processes.size() == indexes.size();
    };
    EXPECT_TRUE(wait_until(freeze_those_that_wrote)) << "some shards have written nothing";
    return processes;
  }
  std::string log_of(int index) const {
    const fs::path log = clips_ / fmt::format("results/slurm/{}_{}.log", array_, index);
    return fs::exists(log) ? read_text(log) : "no log";
  }
  void expect_state(const std::string& job, const std::string& state) {
    EXPECT_TRUE(wait_until([&] { return node_->field(job, "JobState") == state; }, 90))
        << job << " is " << node_->field(job, "JobState") << ", not " << state << "\n"
        << run_command("squeue --all").output;
  }
  void expect_restarts(int index, const std::string& count) {
    EXPECT_TRUE(wait_until([&] { return node_->field(task(index), "Restarts") == count; }))
        << log_of(index);
  }
  void scancel(const std::string& arguments) {
    const CommandResult result = run_command("scancel " + arguments);
    EXPECT_EQ(result.exit_code, 0) << result.output;
  }

  const std::string work_dir_ = "it's $HOME/of a run";
  const ManyClips& clips_ = ManyClips::get();
  std::optional<SlurmNode> node_;
  std::string array_, merge_;
};

TEST_F(Slurm, StoppedAndPreemptedShardsGoOnAndAreMerged) {
  submit_now(4);
  auto frozen = freeze({2, 3}, 4);
  expect_state(task(0), "COMPLETED");
  expect_state(task(1), "COMPLETED");
  EXPECT_EQ(node_->field(merge_, "JobState"), "PENDING");
  // As before a time limit: a signal to the step. The script queues its task again: this one alone,
  // though the number of the last task at Slurm is that of the whole array.
  scancel("--signal=TERM " + task(3));
  kill(frozen[3], SIGCONT);
  expect_restarts(3, "1");
  // The node is wanted for something more important: Slurm takes the task away and queues it again.
  const CommandResult other = run_command(
      "sbatch --parsable --partition=high --cpus-per-task=4 --output=/dev/null --wrap 'sleep 1'");
  ASSERT_EQ(other.exit_code, 0) << other.output;
  expect_restarts(2, "1");
  expect_state(other.output.substr(0, other.output.find('\n')), "COMPLETED");

  expect_state(merge_, "COMPLETED");
  for (int i = 0; i < 4; ++i)
    EXPECT_EQ(node_->field(task(i), "JobState"), "COMPLETED") << log_of(i);
  for (int i = 0; i < 2; ++i) EXPECT_EQ(node_->field(task(i), "Restarts"), "0") << log_of(i);
  EXPECT_THAT(log_of(3), HasSubstr("queued again after 0 restarts"));
  EXPECT_THAT(log_of(2), Not(HasSubstr("queued again")));
  for (const int i : {2, 3}) {
    EXPECT_THAT(log_of(i), HasSubstr("stopped by a signal after"));
    EXPECT_THAT(log_of(i), HasSubstr("of them earlier)"));
  }
  EXPECT_EQ(clips_.difference("results", "--rows"), "");
}

TEST_F(Slurm, EndedTasksStayEndedUntilSubmittedAgain) {
  submit_now(3);
  auto frozen = freeze({0, 1}, 3);
  scancel(task(0));
  kill(frozen[1], SIGKILL);  // as of memory; Slurm's own KILL would be a scancel
  expect_state(task(1), "FAILED");
  EXPECT_EQ(node_->field(task(1), "ExitCode"), "137:0");
  // Its shard came to a good end, and its script did not queue it again.
  EXPECT_TRUE(wait_until([&] { return fs::exists(shard(0, 3) / "run.json"); }));
  expect_state(task(0), "CANCELLED");
  EXPECT_TRUE(wait_until([&] { return run_command("squeue --noheader").output.empty(); }))
      << run_command("squeue --all").output;
  EXPECT_EQ(node_->field(task(0), "Restarts"), "0");
  EXPECT_EQ(node_->field(task(0), "JobState"), "CANCELLED");
  EXPECT_FALSE(fs::exists(clips_ / "results/merged.h5"));

  const ProgramResult otherwise = submit(4);
  EXPECT_EQ(otherwise.exit_code, 2) << otherwise.out;
  EXPECT_THAT(otherwise.err, HasSubstr("holds shards of 3"));
  submit_now(3);
  expect_state(merge_, "COMPLETED");
  EXPECT_EQ(clips_.difference("results", "--rows"), "");
}

// A script has the number of tasks of its job, and is none of them.
TEST_F(Slurm, ScriptOfSeveralTasksIsNoShardAndItsStepsAre) {
  const auto out = [&](const std::string& name) { return read_text(clips_ / (name + ".out")); };
  const auto batch = [&](const std::string& name, const std::string& command) {
    return run_command(
        fmt::format("cd {} && sbatch --wait --ntasks=2 --partition=low --output={}.out --wrap '{}'",
                    clips_.path().string(), name, command));
  };
  const std::string run = fmt::format(
      "{} run c.yaml -q dataset.max_clips=8 dataset.max_failures=8 output.work_dir={{}}",
      CFP_PROGRAM);
  EXPECT_NE(batch("script", fmt::format(fmt::runtime(run), "of_script")).exit_code, 0);
  EXPECT_THAT(out("script"), HasSubstr("as in a batch script; start cfp with srun"));
  EXPECT_FALSE(fs::exists(clips_ / "of_script"));
  const CommandResult steps =
      batch("steps", "srun --mpi=none " + fmt::format(fmt::runtime(run), "of_steps"));
  EXPECT_EQ(steps.exit_code, 0) << steps.output << out("steps");
  EXPECT_THAT(out("steps"), HasSubstr("shard 1 of 2 (SLURM_PROCID=1, SLURM_NTASKS=2)"));
  const ProgramResult merged = run_program({"merge", "of_steps", "-q"}, clips_.path());
  EXPECT_EQ(merged.exit_code, 0) << merged.err;
}

TEST_F(Slurm, SaysWhatItRefuses) {
  const ProgramResult refused = submit(2, {"--go", "--account=a", "--sbatch", "nonsense=1"});
  EXPECT_EQ(refused.exit_code, 4);
  EXPECT_THAT(refused.err, HasSubstr("nonsense"));
  EXPECT_THAT(refused.err, HasSubstr("Slurm did not take the jobs of"));
  // The second of the two: the first is taken back.
  ASSERT_EQ(submit(2, {"--max-running=1"}).exit_code, 0);
  write_text(clips_ / "results/slurm/merge.sbatch", "no script\n");
  const CommandResult half = run_command("sh " + (clips_ / "results/slurm/submit.sh").string());
  EXPECT_EQ(half.exit_code, 1) << half.output;
  expect_state("1", "CANCELLED");
  EXPECT_FALSE(fs::exists(clips_ / "results/slurm/jobs.txt"));
}

/// Everything about `cfp submit` that needs no Slurm.
class Submit : public testing::Test {
 protected:
  Submit() { write_text(folder_ / "c.yaml", tiny_config("{type: list, file: list.txt}")); }
  ProgramResult submit(std::vector<std::string> more) {
    more.insert(more.begin(), {"submit", "c.yaml"});
    return run_program(more, folder_.path());
  }
  TemporaryFolder folder_;
};

TEST_F(Submit, WritesScriptsAndSaysHowToSubmitThem) {
  const ProgramResult written = submit({"--shards=4", "--sbatch=gres=gpu:1", "--sbatch=exclusive"});
  EXPECT_EQ(written.exit_code, 0) << written.err;
  const std::string script = (folder_ / "out/slurm/submit.sh").string();
  EXPECT_THAT(written.out, HasSubstr("Look at them, then: sh " + script));
  EXPECT_EQ(run_command("sh -n " + script).output, "");
  for (const char* name : {"shards.sbatch", "merge.sbatch"}) {
    const std::string text = read_text(folder_ / "out/slurm" / name);
    EXPECT_THAT(text, HasSubstr("#SBATCH --gres=gpu:1\n#SBATCH --exclusive\n")) << name;
    EXPECT_THAT(text, HasSubstr(CFP_PROGRAM)) << name;
  }
  // The folder counts as a run's: shards may begin in it.
  write_text(folder_ / "list.txt", "gone.mp4 0\n");
  EXPECT_NE(run_program({"run", "c.yaml", "--shard=0/4"}, folder_.path()).exit_code, 2);
}

TEST_F(Submit, SaysWhatIsWrongBeforeAnythingIsWritten) {
  const auto refuse = [&](const std::vector<std::string>& more, const std::string& what) {
    const ProgramResult result = submit(more);
    EXPECT_EQ(result.exit_code, 2) << result.out;
    EXPECT_THAT(result.err, HasSubstr(what));
    EXPECT_FALSE(fs::exists(folder_ / "out/slurm"));
  };
  refuse({"--shards=4", "explain.treshold=0.4"}, "did you mean");
  refuse({"--shards=4", "output.overwrite=true"}, "a shard that is queued again would begin anew");
  refuse({"--shards=4", "--time=1"}, "leave no time to work");
  refuse({"--shards=4", "--sbatch=array=1"}, "sets --array itself");
  refuse({"--shards=0"}, "--shards");
  write_text(folder_ / "c.yaml", tiny_config("{type: list, file: list.txt}") +
                                     "sweep: {explain.threshold: [0.2, 0.6]}\n");
  refuse({"--shards=4"}, "sweep: the shards of `cfp submit` do a single run");
  write_text(folder_ / "c.yaml", tiny_config("{type: list, file: list.txt}"));
  refuse({}, "--shards is required");
  write_text(folder_ / "out/somebody's.txt", "");
  refuse({"--shards=4"}, "holds files that are not of a run");
}

TEST_F(Submit, RefusesAnotherNumberThanBefore) {
  ASSERT_EQ(submit({"--shards=4"}).exit_code, 0);
  ASSERT_EQ(submit({"--shards=5"}).exit_code, 0) << "written, but never submitted";
  write_text(folder_ / "out/slurm/jobs.txt", "5 12 13\n");
  const ProgramResult other = submit({"--shards=4"});
  EXPECT_EQ(other.exit_code, 2);
  EXPECT_THAT(other.err, HasSubstr("5 were submitted for"));
  EXPECT_THAT(other.err, HasSubstr("(job 12, merge 13)"));
  EXPECT_EQ(submit({"--shards=5"}).exit_code, 0);
}

TEST_F(Submit, WithoutSlurmSaysSo) {
  const std::string path = getenv("PATH");
  setenv("PATH", "/nowhere", 1);
  const ProgramResult result = submit({"--shards=4", "--go"});
  setenv("PATH", path.c_str(), 1);
  EXPECT_EQ(result.exit_code, 4);
  EXPECT_THAT(result.err, HasSubstr("no sbatch on PATH"));
  EXPECT_TRUE(fs::exists(folder_ / "out/slurm/submit.sh"));
}

}  // namespace
}  // namespace cfp::test
