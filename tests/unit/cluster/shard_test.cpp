#include "pipeline/cluster/shard.h"

#include <map>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "stages/core/errors.h"

namespace cfp {
namespace {

using testing::HasSubstr;
using Variables = std::map<std::string, std::string>;

ShardChoice choose(const Variables& variables, const std::string& option = "") {
  return choose_shard(option, [&](const char* name) -> std::optional<std::string> {
    const auto found = variables.find(name);
    if (found == variables.end()) return std::nullopt;
    return found->second;
  });
}

std::string error_of(const Variables& variables, const std::string& option = "") {
  try {
    choose(variables, option);
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "no error";
}

TEST(Shards, AreEquallyLongAndTakeEveryRowOnce) {
  for (const std::int64_t rows : {0, 1, 2, 7, 64, 200, 1001}) {
    for (const std::int64_t count : {1, 2, 3, 7, 64, 1000}) {
      std::int64_t next = 0;
      for (std::int64_t i = 0; i < count; ++i) {
        const RowRange range = rows_of_shard({i, count}, rows);
        EXPECT_EQ(range.begin, next);
        EXPECT_GE(range.size(), rows / count);
        EXPECT_LE(range.size(), rows / count + 1);
        for (std::int64_t row = range.begin; row < range.end; ++row) {
          EXPECT_EQ(shard_of_row(row, count, rows).index, i) << row << " of " << rows;
        }
        next = range.end;
      }
      EXPECT_EQ(next, rows);
    }
  }
}

TEST(Shards, OfTheLargestManifestDoNotOverflow) {
  const std::int64_t rows = 10'000'000;
  EXPECT_EQ(rows_of_shard({kMaxShards - 1, kMaxShards}, rows).end, rows);
}

TEST(Shards, AreNamedByTheirFolder) {
  EXPECT_EQ(folder_of_shard({3, 16}), "00003-of-00016");
  EXPECT_EQ(shard_of_folder("00003-of-00016"), (Shard{3, 16}));
  EXPECT_EQ(shard_of_folder(folder_of_shard({99'999, 100'000})), (Shard{99'999, 100'000}));
  for (const char* other : {"", "3-of-16", "00016-of-00016", "-0001-of-00016", "00003-of-00016.tmp",
                            "00003", "00003-of-", "00000-of-00000"}) {
    EXPECT_FALSE(shard_of_folder(other)) << other;
  }
}

TEST(ChooseShard, TakesWhatTheCommandLineSays) {
  const Variables slurm{{"SLURM_ARRAY_TASK_ID", "4"}, {"SLURM_ARRAY_TASK_COUNT", "8"}};
  EXPECT_EQ(choose(slurm, "2/3").shard, (Shard{2, 3}));
  EXPECT_EQ(choose(slurm, "2/3").source, "--shard");
  EXPECT_FALSE(choose(slurm, "none").shard);
  for (const char* wrong : {"3", "3/", "/3", "3/3", "-1/3", "0/0", "0/100001", "a/b", "1/2/3"}) {
    EXPECT_THAT(error_of({}, wrong), HasSubstr("--shard")) << wrong;
  }
}

TEST(ChooseShard, WithoutABatchSystemThereIsNone) {
  EXPECT_FALSE(choose({}).shard);
  EXPECT_FALSE(choose({{"SLURM_PROCID", "0"}, {"SLURM_NTASKS", "1"}}).shard);
  EXPECT_FALSE(choose({{"SGE_TASK_ID", "undefined"}}).shard);
  EXPECT_FALSE(choose({{"LSB_JOBINDEX", "0"}}).shard);
}

TEST(ChooseShard, ReadsTheVariablesOfEachBatchSystem) {
  const auto slurm = choose({{"SLURM_ARRAY_TASK_ID", "9"},
                             {"SLURM_ARRAY_TASK_MIN", "5"},
                             {"SLURM_ARRAY_TASK_STEP", "2"},
                             {"SLURM_ARRAY_TASK_COUNT", "4"},
                             {"SLURM_PROCID", "0"},
                             {"SLURM_NTASKS", "1"}});
  EXPECT_EQ(slurm.shard, (Shard{2, 4}));
  EXPECT_EQ(slurm.source, "SLURM_ARRAY_TASK_ID=9");
  EXPECT_EQ(
      choose({{"SLURM_PROCID", "2"}, {"SLURM_NTASKS", "4"}, {"SLURM_STEP_NUM_TASKS", "4"}}).shard,
      (Shard{2, 4}));
  EXPECT_EQ(choose({{"SLURM_ARRAY_TASK_ID", "1"},
                    {"SLURM_ARRAY_TASK_COUNT", "3"},
                    {"SLURM_PROCID", "1"},
                    {"SLURM_NTASKS", "2"},
                    {"SLURM_STEP_NUM_TASKS", "2"}})
                .shard,
            (Shard{3, 6}));
  EXPECT_EQ(choose({{"PBS_ARRAY_INDEX", "3"}, {"CFP_SHARD_COUNT", "8"}}).shard, (Shard{3, 8}));
  EXPECT_EQ(
      choose({{"PBS_ARRAYID", "1"}, {"CFP_SHARD_COUNT", "8"}, {"CFP_SHARD_FIRST", "1"}}).shard,
      (Shard{0, 8}));
  EXPECT_EQ(choose({{"SGE_TASK_ID", "3"}, {"SGE_TASK_FIRST", "1"}, {"SGE_TASK_LAST", "4"}}).shard,
            (Shard{2, 4}));
  EXPECT_EQ(choose({{"SGE_TASK_ID", "5"},
                    {"SGE_TASK_FIRST", "1"},
                    {"SGE_TASK_LAST", "8"},
                    {"SGE_TASK_STEPSIZE", "2"}})
                .shard,
            (Shard{2, 4}));
  EXPECT_EQ(choose({{"LSB_JOBINDEX", "4"}, {"LSB_JOBINDEX_END", "4"}}).shard, (Shard{3, 4}));
  EXPECT_EQ(choose({{"JOB_COMPLETION_INDEX", "0"}, {"JOB_COMPLETIONS", "2"}}).shard, (Shard{0, 2}));
}

TEST(ChooseShard, RefusesWhatItCannotBeSureOf) {
  EXPECT_THAT(error_of({{"PBS_ARRAY_INDEX", "3"}}), HasSubstr("CFP_SHARD_COUNT does not say"));
  EXPECT_THAT(error_of({{"JOB_COMPLETION_INDEX", "3"}}), HasSubstr("JOB_COMPLETIONS does not say"));
  EXPECT_THAT(error_of({{"LSB_JOBINDEX", "3"}}), HasSubstr("LSB_JOBINDEX_END does not say"));
  EXPECT_THAT(error_of({{"SLURM_ARRAY_TASK_ID", "x"}}), HasSubstr("is no number"));
  // --array=1,5,6: three members, and no even steps between them.
  EXPECT_THAT(error_of({{"SLURM_ARRAY_TASK_ID", "6"},
                        {"SLURM_ARRAY_TASK_MIN", "1"},
                        {"SLURM_ARRAY_TASK_COUNT", "3"}}),
              HasSubstr("is not one of 3 indexes from 1"));
}

// What Slurm sets in the script of `sbatch --ntasks=4`, and in no step of it.
TEST(ChooseShard, TakesABatchScriptForNoTaskOfAStep) {
  const Variables script{{"SLURM_PROCID", "0"}, {"SLURM_NTASKS", "4"}};
  EXPECT_THAT(error_of(script),
              HasSubstr("SLURM_NTASKS=4, but SLURM_STEP_NUM_TASKS does not say that so many were "
                        "started, as in a batch script; start cfp with srun"));
  Variables member = script;
  member["SLURM_ARRAY_TASK_ID"] = "1";
  member["SLURM_ARRAY_TASK_COUNT"] = "3";
  EXPECT_THAT(error_of(member), HasSubstr("start cfp with srun"));
  // Submitted from a shell that is a step itself.
  Variables inherited = script;
  inherited["SLURM_STEP_NUM_TASKS"] = "1";
  EXPECT_THAT(error_of(inherited), HasSubstr("start cfp with srun"));
  EXPECT_FALSE(choose(script, "none").shard);
  EXPECT_EQ(choose(script, "1/2").shard, (Shard{1, 2}));
}

}  // namespace
}  // namespace cfp
