#include "pipeline/cluster/shard.h"

#include <array>
#include <charconv>
#include <cstdlib>

#include <fmt/format.h>

#include "stages/core/errors.h"

namespace cfp {
namespace {

std::optional<std::int64_t> to_integer(std::string_view text) {
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

/// The number in a variable; absent where it is not set.
std::optional<std::int64_t> read_number(const Environment& environment, const char* name) {
  const std::optional<std::string> text = environment(name);
  if (!text) return std::nullopt;
  const std::optional<std::int64_t> number = to_integer(*text);
  if (!number) {
    throw ConfigError(fmt::format(
        "{}='{}' is no number; name the shard with --shard i/n, or --shard none for all rows", name,
        *text));
  }
  return number;
}

Shard checked(std::int64_t index, std::int64_t count, const std::string& source) {
  if (count < 1 || count > kMaxShards || index < 0 || index >= count) {
    throw ConfigError(fmt::format(
        "{}: shard {} of {}: the index counts from 0 and is below the count, which is 1 to {}",
        source, index, count, kMaxShards));
  }
  return {index, count};
}

/// The variables of one batch system for the members of an array.
struct ArrayVariables {
  const char* index;
  const char* first;  ///< smallest index; null: there is no such variable
  const char* last;   ///< largest index; null: there is no such variable
  const char* step;   ///< between indexes; null: there is no such variable
  const char* count;  ///< null: there is no such variable
  std::int64_t usual_first;
  const char* none;  ///< what `index` holds outside an array
};

constexpr std::array<ArrayVariables, 6> kArrays{{
    {"SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_MIN", nullptr, "SLURM_ARRAY_TASK_STEP",
     "SLURM_ARRAY_TASK_COUNT", 0, ""},
    {"PBS_ARRAY_INDEX", "CFP_SHARD_FIRST", nullptr, nullptr, "CFP_SHARD_COUNT", 0, ""},
    {"PBS_ARRAYID", "CFP_SHARD_FIRST", nullptr, nullptr, "CFP_SHARD_COUNT", 0, ""},
    {"SGE_TASK_ID", "SGE_TASK_FIRST", "SGE_TASK_LAST", "SGE_TASK_STEPSIZE", nullptr, 1,
     "undefined"},
    {"LSB_JOBINDEX", nullptr, "LSB_JOBINDEX_END", "LSB_JOBINDEX_STEP", nullptr, 1, "0"},
    {"JOB_COMPLETION_INDEX", nullptr, nullptr, nullptr, "JOB_COMPLETIONS", 0, ""},
}};

/// What a batch system says about its array; absent outside one.
ShardChoice shard_of_array(const ArrayVariables& names, const Environment& environment) {
  const std::optional<std::string> text = environment(names.index);
  if (!text || *text == names.none) return {};
  const std::int64_t id = *read_number(environment, names.index);
  const auto number = [&](const char* name) {
    return name != nullptr ? read_number(environment, name) : std::nullopt;
  };
  const std::int64_t first = number(names.first).value_or(names.usual_first);
  const std::int64_t step = number(names.step).value_or(1);
  std::optional<std::int64_t> count = number(names.count);
  const std::optional<std::int64_t> last = number(names.last);
  if (step >= 1 && last && *last >= first && *last - first < kMaxShards * step) {
    count = (*last - first) / step + 1;
  }
  const std::string source = fmt::format("{}={}", names.index, id);
  if (!count) {
    throw ConfigError(fmt::format(
        "{}, but {} does not say how many there are; set it, name the shard with --shard i/n, or "
        "take all rows with --shard none",
        source, names.count != nullptr ? names.count : names.last));
  }
  if (step < 1 || id < first || (id - first) % step != 0 || (id - first) / step >= *count) {
    throw ConfigError(fmt::format(
        "{} is not one of {} indexes from {} in steps of {}; name the shard with --shard i/n",
        source, *count, first, step));
  }
  return {checked((id - first) / step, *count, source), source};
}

/// The tasks of a Slurm step; a lone one is no shard.
///
/// A batch script has SLURM_PROCID=0 and the SLURM_NTASKS of its job, though nothing runs beside
/// it: its steps alone are so many tasks, and they alone have SLURM_STEP_NUM_TASKS.
ShardChoice shard_of_step(const Environment& environment) {
  const std::optional<std::int64_t> task = read_number(environment, "SLURM_PROCID");
  const std::optional<std::int64_t> tasks = read_number(environment, "SLURM_NTASKS");
  if (!task || !tasks || *tasks <= 1) return {};
  if (read_number(environment, "SLURM_STEP_NUM_TASKS") != tasks) {
    throw ConfigError(fmt::format(
        "SLURM_NTASKS={}, but SLURM_STEP_NUM_TASKS does not say that so many were started, as in a "
        "batch script; start cfp with srun, name the shard with --shard i/n, or take all rows with "
        "--shard none",
        *tasks));
  }
  const std::string source = fmt::format("SLURM_PROCID={}, SLURM_NTASKS={}", *task, *tasks);
  return {checked(*task, *tasks, source), source};
}

}  // namespace

RowRange rows_of_shard(const Shard& shard, std::int64_t rows) {
  return {shard.index * rows / shard.count, (shard.index + 1) * rows / shard.count};
}

Shard shard_of_row(std::int64_t row, std::int64_t count, std::int64_t rows) {
  Shard shard{row * count / rows, count};
  while (rows_of_shard(shard, rows).end <= row) ++shard.index;
  return shard;
}

Shard parse_shard(std::string_view text) {
  const std::size_t slash = text.find('/');
  if (slash != std::string_view::npos) {
    const auto index = to_integer(text.substr(0, slash)),
               count = to_integer(text.substr(slash + 1));
    if (index && count) return checked(*index, *count, "--shard");
  }
  throw ConfigError(fmt::format(
      "--shard: '{}' is not `i/n`, such as 0/16 for the first of sixteen, nor `none`", text));
}

std::string folder_of_shard(const Shard& shard) {
  return fmt::format("{:05}-of-{:05}", shard.index, shard.count);
}

std::optional<Shard> shard_of_folder(std::string_view name) {
  const std::size_t middle = name.find("-of-");
  if (middle == std::string_view::npos) return std::nullopt;
  const auto index = to_integer(name.substr(0, middle)),
             count = to_integer(name.substr(middle + 4));
  if (!index || !count || *count < 1 || *count > kMaxShards || *index < 0 || *index >= *count) {
    return std::nullopt;
  }
  const Shard shard{*index, *count};
  return folder_of_shard(shard) == name ? std::optional(shard) : std::nullopt;
}

std::optional<std::string> variable_of_environment(const char* name) {
  const char* value = std::getenv(name);
  if (value == nullptr || *value == '\0') return std::nullopt;
  return value;
}

ShardChoice choose_shard(const std::string& option, const Environment& environment) {
  if (option == "none") return {};
  if (!option.empty()) return {parse_shard(option), "--shard"};
  for (const ArrayVariables& names : kArrays) {
    ShardChoice choice = shard_of_array(names, environment);
    if (!choice.shard) continue;
    const ShardChoice step = shard_of_step(environment);
    if (std::string_view(names.index) != "SLURM_ARRAY_TASK_ID" || !step.shard) return choice;
    const std::string source = choice.source + ", " + step.source;
    return {checked(choice.shard->index * step.shard->count + step.shard->index,
                    choice.shard->count * step.shard->count, source),
            source};
  }
  return shard_of_step(environment);
}

}  // namespace cfp
