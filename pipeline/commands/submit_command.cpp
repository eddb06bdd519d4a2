#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pipeline/cluster/shard.h"
#include "pipeline/cluster/shell_word.h"
#include "pipeline/cluster/slurm.h"
#include "pipeline/commands/commands.h"
#include "pipeline/config/options.h"
#include "pipeline/run/part_files.h"
#include "pipeline/run/shard_folder.h"
#include "pipeline/run/work_dir.h"
#include "stages/core/output_file.h"

namespace cfp {
namespace fs = std::filesystem;
namespace {

struct Arguments {
  ConfigArguments config;
  SlurmOptions slurm;
  bool go = false;
};

/// @throws SystemError the system does not say which file this program is
fs::path own_program() {
  std::error_code error;
  const fs::path program = fs::read_symlink("/proc/self/exe", error);
  if (error) {
    throw SystemError(fmt::format("cannot find out where cfp lies: {}", error.message()));
  }
  return program;
}

std::vector<Submission> earlier_submissions(const fs::path& folder) {
  std::ifstream file(folder / kJobsName);
  std::stringstream text;
  text << file.rdbuf();
  return parse_submissions(text.str());
}

/// @throws ConfigError the folder holds, or awaits, another number of shards
void require_same_count(const fs::path& work_dir, std::int64_t count) {
  for (const Shard& shard : shards_in(work_dir)) {
    if (shard.count == count) continue;
    throw ConfigError(
        fmt::format("--shards: {}, but '{}' holds shards of {}; submit as many again, name another "
                    "output.work_dir, or remove this one once no shard is running",
                    count, work_dir.string(), shard.count));
  }
  const fs::path folder = work_dir / kSlurmName;
  for (const Submission& earlier : earlier_submissions(folder)) {
    if (earlier.shards == count) continue;
    throw ConfigError(fmt::format(
        "--shards: {}, but {} were submitted for '{}' (job {}, merge {}); submit as many again, or "
        "name another output.work_dir, or cancel them and remove '{}'",
        count, earlier.shards, work_dir.string(), earlier.shards_job, earlier.merge_job,
        (folder / kJobsName).string()));
  }
}

bool is_on_path(const std::string& program) {
  const char* path = std::getenv("PATH");
  std::istringstream folders(path != nullptr ? path : "");
  for (std::string folder; std::getline(folders, folder, ':');) {
    if (access((fs::path(folder) / program).c_str(), X_OK) == 0) return true;
  }
  return false;
}

/// Runs submit.sh, which prints the jobs.
/// @throws SystemError there is no Slurm, or it refuses
void submit(const fs::path& script) {
  if (!is_on_path("sbatch")) {
    throw SystemError(fmt::format(
        "no sbatch on PATH: Slurm is not installed here; where it is, submit with: sh {}",
        shell_word(script.string())));
  }
  std::fflush(stdout);
  const int status = std::system(("sh " + shell_word(script.string())).c_str());
  if (status == -1 || !WIFEXITED(status) || WEXITSTATUS(status) != 0) {
    throw SystemError(
        fmt::format("Slurm did not take the jobs of '{}'; it says why above", script.string()));
  }
}

ExitCode submit_run(const Arguments& arguments) {
  const ResolvedConfig config =
      resolve_config(load_config(arguments.config.file, arguments.config.overrides));
  if (const ConfigTree& sweep = config.values.sweep(); !sweep.is_null()) {
    throw ConfigError(fmt::format(
        "{}: sweep: the shards of `cfp submit` do a single run; an array whose tasks call `cfp "
        "sweep --job` goes through the values",
        sweep.where.to_string()));
  }
  if (config.output.overwrite) {
    config.values.fail(
        "output.overwrite",
        "a shard that is queued again would begin anew; with `cfp submit` it must be "
        "false (output.overwrite=false)");
  }
  const fs::path folder = fs::current_path();
  const SlurmJob job{.name = config.name,
                     .program = own_program(),
                     .folder = folder,
                     .config = fs::absolute(arguments.config.file).lexically_normal(),
                     .work_dir = fs::absolute(config.output.work_dir).lexically_normal(),
                     .overrides = arguments.config.overrides,
                     .grace_s = config.runtime.grace_s};
  check_submission(job, arguments.slurm);
  require_same_count(job.work_dir, arguments.slurm.shards);
  require_one_kind(job.work_dir, Shard{0, arguments.slurm.shards});
  make_shared_folder(job.work_dir);
  const fs::path scripts = job.work_dir / kSlurmName;
  std::error_code error;
  fs::create_directory(scripts, error);
  if (error) {
    throw SystemError(
        fmt::format("cannot make the folder '{}': {}", scripts.string(), error.message()));
  }
  write_file(scripts / "shards.sbatch", shards_script(job, arguments.slurm));
  write_file(scripts / "merge.sbatch", merge_script(job, arguments.slurm));
  write_file(scripts / "submit.sh", submit_script(job, arguments.slurm));
  fmt::print(
      "{}\n  shards.sbatch  {} shards, one a task of an array\n  merge.sbatch   the merge, once "
      "all "
      "are done, with tables and page\n  submit.sh      submits both\n",
      scripts.string(), arguments.slurm.shards);
  if (arguments.go) {
    submit(scripts / "submit.sh");
  } else {
    fmt::print("Look at them, then: sh {}\n", shell_word((scripts / "submit.sh").string()));
  }
  return ExitCode::kDone;
}

void add_limits(CLI::App& verb, SlurmOptions& slurm) {
  verb.add_option("--gpus-per-task", slurm.gpus_per_task, "Devices of a shard")
      ->check(CLI::Range(0, 1024));
  verb.add_option("--cpus-per-task", slurm.cpus_per_task, "Processors of a shard")
      ->check(CLI::Range(1, 65536));
  verb.add_option("--mem", slurm.memory, "Memory of a shard, such as 16G");
  verb.add_option("--time", slurm.time,
                  "Time limit of a shard, such as 04:00:00; stopped before it, a shard is queued "
                  "again and goes on");
  verb.add_option("--partition", slurm.partition);
  verb.add_option("--account", slurm.account);
  verb.add_option("--qos", slurm.qos);
  verb.add_option("--max-running", slurm.max_running, "Shards at the same time")
      ->check(CLI::Range(1, 1'000'000));
  verb.add_option("--max-restarts", slurm.max_restarts,
                  "How often a shard may have been restarted and still be queued again, by default "
                  "20")
      ->check(CLI::Range(0, 1'000'000));
  verb.add_option("--sbatch", slurm.more,
                  "Another option of sbatch for both jobs, without its dashes, such as "
                  "gres=gpu:1; as many as you like")
      ->expected(1)
      ->take_all()
      ->type_name("OPTION");
}

}  // namespace

void add_submit(CLI::App& app, Command& command) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* verb = app.add_subcommand(
      "submit", "Write the scripts that run a config in shards on Slurm, and submit them");
  arguments->config.add_to(*verb);
  verb->add_option("--shards", arguments->slurm.shards, "Into how many the rows are cut")
      ->required()
      ->check(CLI::Range(std::int64_t{1}, kMaxShards));
  add_limits(*verb, arguments->slurm);
  verb->add_flag("--go", arguments->go, "Submit them, too");
  verb->callback(
      [arguments, &command] { command = [arguments] { return submit_run(*arguments); }; });
}

}  // namespace cfp
