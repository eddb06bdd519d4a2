// The shards of a run as jobs of Slurm: the scripts that `cfp submit` writes.
//
//   check_submission(job, options);
//   write_file(folder / "shards.sbatch", shards_script(job, options));
//
// Note [How a shard ends in Slurm]
// A shard is a task of an array, and runs as a step of it (srun), because signals go to steps and
// not to the script around them: before the time limit Slurm sends USR1 (`--signal`), a user may
// send any with `scancel --signal`. The run finishes the clips in flight and exits with 75. The
// script then puts its own task back into the queue, where the run goes on from its parts. When
// Slurm takes the job away (a preemption, a failed node) it does the same by itself (`--requeue`);
// its SIGTERM goes to the script, too, which outlives the run only because it traps it. A task that
// was cancelled stays cancelled, and any other exit code is the task's.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace cfp {

/// What the jobs do. All paths are absolute, and the same on every node.
struct SlurmJob {
  std::string name;               ///< of the run
  std::filesystem::path program;  ///< cfp
  std::filesystem::path
      folder;  ///< where it was submitted: relative paths of the config begin here
  std::filesystem::path config, work_dir;
  std::vector<std::string> overrides;  ///< `key=value`
  double grace_s = 0;                  ///< runtime.grace_s
};

/// What is asked of Slurm. What is empty or absent is left to the cluster.
struct SlurmOptions {
  std::int64_t shards = 0;  ///< 1 to kMaxShards
  std::optional<std::int64_t> gpus_per_task, cpus_per_task;
  std::optional<std::int64_t> max_running;  ///< tasks at the same time
  std::string memory, time, partition, account, qos;
  std::vector<std::string> more;  ///< options of sbatch: `exclusive`, `gres=gpu:1`, of both jobs
  std::int64_t max_restarts =
      20;  ///< of a task, those by Slurm counted: none by the script after it
};

/// Below a work_dir: the scripts, the logs of the tasks, and what was submitted.
inline constexpr const char* kSlurmName = "slurm";

/// What it takes to write the last part on a slow file system, once the clips in flight are
/// finished.
inline constexpr std::int64_t kCloseDown_s = 60;

/// @return seconds from Slurm's signal to the time limit
std::int64_t signal_lead_s(double grace_s);

/// @param text  as sbatch takes it: `90` (minutes), `90:00`, `4:00:00`, `1-12`, `1-12:00`, …
/// @return      seconds; absent where it is no time
std::optional<std::int64_t> time_limit_s(std::string_view text);

/// Checks what sbatch would find out too late or not at all.
/// @throws ConfigError names the option and its value
void check_submission(const SlurmJob& job, const SlurmOptions& options);

/// @return the script of the array that runs the shards; see Note [How a shard ends in Slurm]
std::string shards_script(const SlurmJob& job, const SlurmOptions& options);
/// @return the script of the job that merges them, and so writes the tables and the page
std::string merge_script(const SlurmJob& job, const SlurmOptions& options);
/// @return the script that submits both, and notes them in jobs.txt
std::string submit_script(const SlurmJob& job, const SlurmOptions& options);

/// A line of jobs.txt.
struct Submission {
  std::int64_t shards = 0;
  std::string shards_job, merge_job;  ///< their numbers
};
inline constexpr const char* kJobsName = "jobs.txt";

/// @param text  of jobs.txt
/// @throws SystemError a line is none that submit_script() writes
std::vector<Submission> parse_submissions(std::string_view text);

}  // namespace cfp
