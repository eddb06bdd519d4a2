#include "pipeline/cluster/slurm.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <sstream>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "pipeline/cluster/shard.h"
#include "pipeline/cluster/shell_word.h"
#include "stages/core/errors.h"

namespace cfp {
namespace {

/// The largest that `--signal` takes.
constexpr std::int64_t kMaxLead_s = 65'535;

/// What the scripts set themselves, or what has an option of its own.
constexpr std::array kOwnOptions{
    "account", "array",   "cpus-per-task", "dependency", "error",  "gpus-per-task", "job-name",
    "mem",     "ntasks",  "no-requeue",    "open-mode",  "output", "parsable",      "partition",
    "qos",     "requeue", "signal",        "time",       "wait",   "wrap"};

std::optional<std::int64_t> to_number(std::string_view text) {
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  // Nine digits: no sum of such times overflows.
  if (error != std::errc() || end != text.data() + text.size() || number < 0 || text.size() > 9) {
    return std::nullopt;
  }
  return number;
}

bool has_control_character(std::string_view text) {
  return std::ranges::any_of(text, [](unsigned char c) { return c < ' ' || c == 127; });
}

/// sbatch reads the words of its lines like a shell, but for backslashes, which it also sees in
/// quotes.
std::string sbatch_word(std::string_view word) {
  std::string doubled;
  for (const char c : word) doubled += c == '\\' ? "\\\\" : std::string(1, c);
  return shell_word(doubled);
}

std::string sbatch_line(std::string_view name, std::string_view value) {
  return fmt::format("#SBATCH --{}={}\n", name, sbatch_word(value));
}

std::string_view without_dashes(std::string_view option) {
  const std::size_t first = option.find_first_not_of('-');
  return first == std::string_view::npos ? std::string_view() : option.substr(first);
}

/// The lines of options that both jobs have.
std::string common_lines(const SlurmOptions& options) {
  std::string lines = "#SBATCH --ntasks=1\n";
  const auto add = [&](std::string_view name, const std::string& value) {
    if (!value.empty()) lines += sbatch_line(name, value);
  };
  add("mem", options.memory);
  add("time", options.time);
  add("partition", options.partition);
  add("account", options.account);
  add("qos", options.qos);
  for (const std::string& option : options.more) {
    const std::string_view text = without_dashes(option);
    const std::size_t equals = text.find('=');
    lines += equals == std::string_view::npos
                 ? fmt::format("#SBATCH --{}\n", text)
                 : sbatch_line(text.substr(0, equals), text.substr(equals + 1));
  }
  return lines + "#SBATCH --requeue\n#SBATCH --open-mode=append\n";
}

std::string folder_of(const SlurmJob& job) { return (job.work_dir / kSlurmName).string(); }

/// @throws ConfigError it is no option of sbatch that may be passed through
void check_passed(const std::string& option) {
  const std::string_view text = without_dashes(option);
  const std::string name(text.substr(0, text.find('=')));
  if (name.empty() || name.find_first_not_of("abcdefghijklmnopqrstuvwxyz-") != std::string::npos ||
      has_control_character(option)) {
    throw ConfigError(fmt::format(
        "--sbatch: '{}' is no long option of sbatch, such as exclusive or gres=gpu:1", option));
  }
  if (std::ranges::find(kOwnOptions, name) != kOwnOptions.end()) {
    throw ConfigError(
        fmt::format("--sbatch: '{}': `cfp submit` sets --{} itself, from options of its own; none "
                    "of these may be passed through: {}",
                    option, name, fmt::join(kOwnOptions, ", ")));
  }
}

/// @throws ConfigError there is no time for the signal in it
void check_times(const SlurmJob& job, const SlurmOptions& options) {
  const std::int64_t lead = signal_lead_s(job.grace_s);
  if (lead > kMaxLead_s) {
    throw ConfigError(
        fmt::format("runtime.grace_s: {} s: Slurm sends its signal {} s before the time limit at "
                    "most, of which "
                    "{} s are for writing; allowed are {} s",
                    job.grace_s, kMaxLead_s, kCloseDown_s, kMaxLead_s - kCloseDown_s));
  }
  if (options.time.empty()) return;
  const std::optional<std::int64_t> limit = time_limit_s(options.time);
  if (!limit) {
    throw ConfigError(fmt::format(
        "--time: '{}' is no time as Slurm has them: minutes, minutes:seconds, "
        "hours:minutes:seconds, days-hours, days-hours:minutes, days-hours:minutes:seconds",
        options.time));
  }
  if (*limit <= lead) {
    throw ConfigError(fmt::format(
        "--time: {} s leave no time to work: {} s before the end the run is asked to stop "
        "(runtime.grace_s={}, and {} s for writing)",
        *limit, lead, job.grace_s, kCloseDown_s));
  }
}

}  // namespace

std::int64_t signal_lead_s(double grace_s) {
  return static_cast<std::int64_t>(std::ceil(grace_s)) + kCloseDown_s;
}

std::optional<std::int64_t> time_limit_s(std::string_view text) {
  std::int64_t days = 0;
  const std::size_t dash = text.find('-');
  if (dash != std::string_view::npos) {
    const auto number = to_number(text.substr(0, dash));
    if (!number) return std::nullopt;
    days = *number;
    text.remove_prefix(dash + 1);
  }
  std::vector<std::int64_t> fields;
  for (std::size_t colon = 0; colon != std::string_view::npos;) {
    colon = text.find(':');
    const auto number = to_number(text.substr(0, colon));
    if (!number) return std::nullopt;
    fields.push_back(*number);
    if (colon != std::string_view::npos) text.remove_prefix(colon + 1);
  }
  if (fields.size() > 3) return std::nullopt;
  // One or two fields are minutes and seconds, behind days hours and minutes.
  if (dash == std::string_view::npos && fields.size() < 3) fields.insert(fields.begin(), 0);
  fields.resize(3);
  return ((days * 24 + fields[0]) * 60 + fields[1]) * 60 + fields[2];
}

void check_submission(const SlurmJob& job, const SlurmOptions& options) {
  if (options.shards < 1 || options.shards > kMaxShards) {
    throw ConfigError(fmt::format("--shards: {}; allowed are 1 to {}", options.shards, kMaxShards));
  }
  const std::string work_dir = job.work_dir.string();
  if (work_dir.find_first_of("%\\") != std::string::npos || has_control_character(work_dir)) {
    throw ConfigError(fmt::format(
        "output.work_dir: '{}': Slurm gives a meaning to '%' and '\\' in the names of logs, and "
        "its scripts hold no control characters; name another folder",
        work_dir));
  }
  if (has_control_character(job.name)) {
    throw ConfigError("name: holds a control character, which a script for sbatch cannot");
  }
  for (const auto& [option, value] : {std::pair{"--mem", options.memory},
                                      {"--partition", options.partition},
                                      {"--account", options.account},
                                      {"--qos", options.qos}}) {
    if (has_control_character(value)) {
      throw ConfigError(fmt::format("{}: holds a control character", option));
    }
  }
  for (const std::string& option : options.more) check_passed(option);
  check_times(job, options);
}

std::string shards_script(const SlurmJob& job, const SlurmOptions& options) {
  const auto count = [](std::string_view name, const std::optional<std::int64_t>& number) {
    return number ? fmt::format(" --{}={}", name, *number) : std::string();
  };
  const auto count_line = [&](std::string_view name, const std::optional<std::int64_t>& number) {
    return number ? fmt::format("#SBATCH{}\n", count(name, number)) : std::string();
  };
  std::string command =
      fmt::format("{} run {}", shell_word(job.program.string()), shell_word(job.config.string()));
  for (const std::string& override : job.overrides) command += ' ' + shell_word(override);
  return fmt::format(
      R"script(#!/bin/bash
# Written by `cfp submit`: the shards of a run, one a task of the array. submit.sh submits it.
{name}{common}#SBATCH --array=0-{last}{max_running}
{gpus}{cpus}#SBATCH --signal=USR1@{lead}
{output}
# When Slurm takes the job away, this shell gets the signal, too. It must outlive the shard, which
# finishes the clips in flight first.
trap : TERM USR1 USR2

cd {folder} || exit {system}
# As a step, to which signals go. The shard is named, because the variables of an array say something
# else when only some of its tasks are submitted again. srun does not take over --cpus-per-task.
srun --ntasks=1 --mpi=none{step_cpus} {command} --shard "$SLURM_ARRAY_TASK_ID/{shards}"
code=$?
[ "$code" -eq {stopped} ] || exit "$code"

# It was stopped by a signal. If Slurm took it away, it is queued again already; if it was cancelled,
# so be it. By this name: the mere number of the last task means the whole array.
task=${{SLURM_ARRAY_JOB_ID}}_$SLURM_ARRAY_TASK_ID
state=$(scontrol --oneliner show job "$task" | sed -n 's/.* JobState=\([A-Z_]*\).*/\1/p')
[ "$state" = RUNNING ] || exit {stopped}
restarts=${{SLURM_RESTART_COUNT:-0}}
if [ "$restarts" -ge {max_restarts} ]; then
  echo "cfp submit: restarted $restarts times, which is the limit; submit again to go on" >&2
  exit {stopped}
fi
echo "cfp submit: stopped by a signal; queued again after $restarts restarts"
scontrol requeue "$task"
exit {stopped}
)script",
      fmt::arg("name", sbatch_line("job-name", job.name)),
      fmt::arg("common", common_lines(options)), fmt::arg("last", options.shards - 1),
      fmt::arg("max_running", options.max_running ? fmt::format("%{}", *options.max_running) : ""),
      fmt::arg("gpus", count_line("gpus-per-task", options.gpus_per_task)),
      fmt::arg("cpus", count_line("cpus-per-task", options.cpus_per_task)),
      fmt::arg("lead", signal_lead_s(job.grace_s)),
      fmt::arg("output", sbatch_line("output", folder_of(job) + "/%A_%a.log")),
      fmt::arg("folder", shell_word(job.folder.string())),
      fmt::arg("system", static_cast<int>(ExitCode::kSystem)),
      fmt::arg("step_cpus", count("cpus-per-task", options.cpus_per_task)),
      fmt::arg("command", command), fmt::arg("shards", options.shards),
      fmt::arg("stopped", static_cast<int>(ExitCode::kStopped)),
      fmt::arg("max_restarts", options.max_restarts));
}

std::string merge_script(const SlurmJob& job, const SlurmOptions& options) {
  return fmt::format(
      R"script(#!/bin/bash
# Written by `cfp submit`: puts the shards together, and writes the tables and the page. submit.sh
# submits it behind them.
{}{}{}
cd {} || exit {}
exec {} merge {}
)script",
      sbatch_line("job-name", job.name + "_merge"), common_lines(options),
      sbatch_line("output", folder_of(job) + "/%j_merge.log"), shell_word(job.folder.string()),
      static_cast<int>(ExitCode::kSystem), shell_word(job.program.string()),
      shell_word(job.work_dir.string()));
}

std::string submit_script(const SlurmJob& job, const SlurmOptions& options) {
  return fmt::format(
      R"script(#!/bin/sh
# Written by `cfp submit`: submits the shards, and the merge that waits until all are done.
set -eu
cd {folder}
shards=$(sbatch --parsable shards.sbatch)
shards=${{shards%%;*}}
merge=$(sbatch --parsable --dependency="afterok:$shards" --kill-on-invalid-dep=yes merge.sbatch) || {{
  scancel "$shards"
  exit 1
}}
merge=${{merge%%;*}}
echo "{count} $shards $merge" >>{jobs}
echo "shards: job $shards, an array of {count}; merge: job $merge, once all of them are done"
)script",
      fmt::arg("folder", shell_word(folder_of(job))), fmt::arg("count", options.shards),
      fmt::arg("jobs", kJobsName));
}

std::vector<Submission> parse_submissions(std::string_view text) {
  std::vector<Submission> submissions;
  std::istringstream lines{std::string(text)};
  for (std::string line; std::getline(lines, line);) {
    Submission submission;
    std::istringstream words(line);
    if (!(words >> submission.shards >> submission.shards_job >> submission.merge_job)) {
      throw SystemError(
          fmt::format("{}: '{}' is not the number of shards, their job, and that of the merge",
                      kJobsName, line));
    }
    submissions.push_back(submission);
  }
  return submissions;
}

}  // namespace cfp
