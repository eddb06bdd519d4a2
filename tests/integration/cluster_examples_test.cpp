// The examples of docs/cluster.md do what they say.
#include <algorithm>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <yaml-cpp/yaml.h>

#include "tests/integration/many_clips.h"
#include "tests/support/run_command.h"

namespace cfp::test {
namespace {

namespace fs = std::filesystem;

class ClusterExamples : public testing::Test {
 protected:
  void SetUp() override {
    if (!clips_.reason().empty()) GTEST_SKIP() << clips_.reason();
  }
  const fs::path examples_ = fs::path(CFP_SOURCE_DIR) / "docs/examples";
  const ManyClips& clips_ = ManyClips::get();
};

TEST_F(ClusterExamples, SnakemakeRunsShardsAndMergesThem) {
  if (run_command("snakemake --version").exit_code != 0) GTEST_SKIP() << "needs snakemake";
  const CommandResult result = run_command(fmt::format(
      "cd {} && snakemake --snakefile {}/Snakefile --cores 2 --config cfp={} run=c.yaml "
      "work_dir=snakemake shards=3",
      clips_.path().string(), examples_.string(), CFP_PROGRAM));
  EXPECT_EQ(result.exit_code, 0) << result.output;
  EXPECT_TRUE(fs::exists(clips_ / "snakemake/shards/00002-of-00003"));
  EXPECT_EQ(clips_.difference("snakemake", "--rows"), "");
}

/// A Job of Kubernetes as far as one can be without a cluster: its container's command.
class Job {
 public:
  /// @param data  what stands for the volume
  Job(const fs::path& file, fs::path data)
      : spec_(YAML::LoadFile(file.string())["spec"]), data_(std::move(data)) {}

  YAML::Node spec() const { return spec_; }
  YAML::Node container() const { return spec_["template"]["spec"]["containers"][0]; }
  ProgramResult run() const {
    std::vector<std::string> arguments;
    for (const YAML::Node& argument : container()["args"]) {
      std::string text = argument.as<std::string>();
      if (const std::size_t at = text.find("/data"); at != std::string::npos) {
        text.replace(at, 5, data_.string());
      }
      arguments.push_back(text);
    }
    return run_program(arguments, data_);
  }

 private:
  YAML::Node spec_;
  fs::path data_;
};

TEST_F(ClusterExamples, KubernetesRunsShardsAndMergesThem) {
  fs::copy_file(clips_ / "c.yaml", clips_ / "my_run.yaml");
  const Job shards(examples_ / "kubernetes_shards.yaml", clips_.path());
  const int completions = shards.spec()["completions"].as<int>();
  for (const YAML::Node& variable : shards.container()["env"]) {
    setenv(variable["name"].as<std::string>().c_str(), variable["value"].as<std::string>().c_str(),
           1);
  }
  for (int i = 0; i < completions; ++i) {
    setenv("JOB_COMPLETION_INDEX", std::to_string(i).c_str(), 1);  // as Kubernetes does
    const ProgramResult pod = shards.run();
    EXPECT_EQ(pod.exit_code, 0) << pod.err;
    EXPECT_TRUE(
        fs::exists(clips_ / fmt::format("work_dirs/my_run/shards/{:05}-of-{:05}", i, completions)));
  }
  unsetenv("JOB_COMPLETION_INDEX");
  unsetenv("JOB_COMPLETIONS");
  const Job merge(examples_ / "kubernetes_merge.yaml", clips_.path());
  EXPECT_EQ(merge.run().exit_code, 0);
  EXPECT_EQ(clips_.difference("work_dirs/my_run", "--rows"), "");
}

TEST_F(ClusterExamples, KubernetesMayGoOnAfterASignalAndNotAfterAnErrorOfTheUser) {
  const Job shards(examples_ / "kubernetes_shards.yaml", clips_.path());
  const auto action_of = [&](int code) -> std::string {
    for (const YAML::Node& rule : shards.spec()["podFailurePolicy"]["rules"]) {
      if (!rule["onExitCodes"]) continue;
      EXPECT_EQ(rule["onExitCodes"]["containerName"].as<std::string>(),
                shards.container()["name"].as<std::string>());
      const auto codes = rule["onExitCodes"]["values"].as<std::vector<int>>();
      if (std::ranges::find(codes, code) != codes.end()) return rule["action"].as<std::string>();
    }
    return "none";
  };
  EXPECT_EQ(action_of(75), "Ignore");
  EXPECT_EQ(action_of(2), "FailJob");
  EXPECT_EQ(action_of(3), "FailJob");
  EXPECT_EQ(action_of(4), "none");
  EXPECT_EQ(action_of(137), "none");
  EXPECT_EQ(shards.spec()["template"]["spec"]["restartPolicy"].as<std::string>(), "Never");
}

}  // namespace
}  // namespace cfp::test
