#include <fstream>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "pipeline/run/environment.h"
#include "pipeline/run/run_log.h"
#include "stages/core/errors.h"
#include "stages/network/fused_convolutions.h"
#include "tests/support/test_data.h"

namespace cfp {
namespace {

TEST(RunLog, WritesOneObjectALineFromManyThreads) {
  const test::TemporaryFolder folder;
  {
    RunLog log(folder / "log.jsonl");
    std::vector<std::jthread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&log, t] {
        for (int i = 0; i < 50; ++i) log.write("event", {{"thread", t}, {"text", "a\n\"b\""}});
      });
    }
  }
  std::ifstream file(folder / "log.jsonl");
  int lines = 0;
  for (std::string line; std::getline(file, line); ++lines) {
    const auto json = nlohmann::json::parse(line);
    EXPECT_EQ(json["text"], "a\n\"b\"");
    EXPECT_THAT(json["time"].get<std::string>(), testing::MatchesRegex("20..-..-..T..:..:......Z"));
  }
  EXPECT_EQ(lines, 200);
}

TEST(RunLog, TakesPathsThatAreNoUtf8) {
  const test::TemporaryFolder folder;
  RunLog log(folder / "log.jsonl");
  EXPECT_NO_THROW(log.write("failure", {{"path", "caf\xe9.mp4"}}));
}

TEST(RunLog, NoticesAFullDisk) {
  if (!std::filesystem::exists("/dev/full")) GTEST_SKIP() << "needs /dev/full";
  RunLog log("/dev/full");
  EXPECT_THROW(log.write("event", nlohmann::ordered_json::object()), SystemError);
}

TEST(RunLog, NamesAFileThatItCannotMake) {
  EXPECT_THROW(RunLog("/no/such/folder/log.jsonl"), SystemError);
}

TEST(Environment, NamesVersionsMachineAndDevices) {
  const auto json = nlohmann::json::parse(environment_json("cfp run 'a b.yaml'", {"cpu"}, true));
  EXPECT_EQ(json["command"], "cfp run 'a b.yaml'");
  EXPECT_EQ(json["devices"][0], "cpu");
  EXPECT_EQ(json["random_weights"], true);
  EXPECT_GT(json["processors"], 0);
  EXPECT_GT(json["memory_bytes"], 1 << 20);
  for (const char* library : {"cfp", "git", "libtorch", "libavcodec", "hdf5", "onetbb"}) {
    EXPECT_FALSE(json["versions"][library].get<std::string>().empty()) << library;
  }
  EXPECT_EQ(json["fused_convolutions"], fused_convolutions_available());
}

TEST(SlowRunWarning, IsGivenForAProcessorWithoutFusedConvolutionsOnly) {
  const auto warning = slow_run_warning({"cuda:0", "cpu"}, false);
  ASSERT_TRUE(warning);
  EXPECT_THAT(*warning, testing::HasSubstr("fused oneDNN operators are not available"));
  EXPECT_EQ(warning->find('\n'), std::string::npos) << "one line";
  EXPECT_FALSE(slow_run_warning({"cpu"}, true));
  EXPECT_FALSE(slow_run_warning({"cuda:0"}, false)) << "a GPU has no use for them";
}

}  // namespace
}  // namespace cfp
