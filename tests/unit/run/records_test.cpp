#include <cerrno>
#include <cstring>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <sys/mount.h>

#include "pipeline/run/environment.h"
#include "pipeline/run/run_log.h"
#include "pipeline/run/status.h"
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

std::vector<std::string> lines_of(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);) lines.push_back(line);
  return lines;
}

TEST(RunLog, BeginsALineOfItsOwnBehindATornOne) {
  const test::TemporaryFolder folder;
  const auto path = folder / "log.jsonl";
  std::ofstream(path) << "{\"event\":\"start\"}\n{\"event\":\"fai";
  {
    RunLog log(path);
    log.write("resume", {{"done", 3}});
    log.write("end", {{"done", 4}});
  }
  const std::vector<std::string> lines = lines_of(path);
  ASSERT_EQ(lines.size(), 4u);
  EXPECT_EQ(lines[1], "{\"event\":\"fai");
  EXPECT_EQ(nlohmann::json::parse(lines[2])["event"], "resume");
  EXPECT_EQ(nlohmann::json::parse(lines[3])["event"], "end");
  { RunLog(path).write("start", {{"rows", 4}}); }
  EXPECT_EQ(lines_of(path).size(), 5u) << "an empty line behind a whole one";
}

TEST(RunLog, BeginsALineOfItsOwnOnceAFullDiskHasRoom) {
  const test::TemporaryFolder folder;
  const std::string disk = folder.path().string();
  if (::mount("tmpfs", disk.c_str(), "tmpfs", 0, "size=8k") != 0) {
    GTEST_SKIP() << "needs the right to mount a tmpfs: " << std::strerror(errno);
  }
  {
    RunLog log(folder / "log.jsonl");
    log.write("start", {{"rows", 4}});
    try {
      log.write("failure", {{"message", std::string(10'000, 'x')}});
      ADD_FAILURE() << "ten kilobytes fit on eight";
    } catch (const SystemError& error) {
      EXPECT_THAT(error.what(), testing::HasSubstr("No space left on device"));
    }
    ASSERT_EQ(::mount("tmpfs", disk.c_str(), "tmpfs", MS_REMOUNT, "size=64k"), 0);
    log.write("error", {{"message", "the disk was full"}});
  }
  const std::vector<std::string> lines = lines_of(folder / "log.jsonl");
  ASSERT_EQ(lines.size(), 3u);
  EXPECT_THAT(lines[1], testing::EndsWith("xxx"));
  EXPECT_EQ(nlohmann::json::parse(lines[2])["message"], "the disk was full");
  ::umount(disk.c_str());
}

TEST(Status, OfAShardThatEndedWithAnErrorKnowsItsRows) {
  const test::TemporaryFolder folder;
  const auto shard = folder / "shards/00001-of-00002";
  std::filesystem::create_directories(shard);
  std::ofstream(folder / "identity.json")
      << R"({"name": "n", "rows": 20, "shards": 2, "config_hash": "a", "manifest_hash": "b",)"
      << R"( "weights_hash": "c", "config": ""})";
  {
    RunLog log(shard / "log.jsonl");
    log.write("start", {{"rows", 20}});
    log.write("error",
              {{"message", std::string(20'000, 'y') + " no disk"}, {"done", 6}, {"failed", 1}});
  }
  const RunStatus status = read_status(folder.path());
  ASSERT_EQ(status.shards.size(), 2u);
  EXPECT_EQ(status.shards[0].state, ShardState::kNotBegun);
  EXPECT_EQ(status.shards[1].state, ShardState::kStopped);
  EXPECT_EQ(status.shards[1].done, 6);
  EXPECT_EQ(status.shards[1].failed, 1);
  EXPECT_THAT(status.shards[1].reason, testing::EndsWith(" no disk"));
  EXPECT_THAT(describe(status), testing::HasSubstr("n: 7 of 20 clips, 1 failed"));
}

TEST(Status, OfAForeignLogIsNotTakenForAnError) {
  const test::TemporaryFolder folder;
  std::ofstream(folder / "manifest.csv") << "row,clip_id,path,start_s,end_s,label,class_name\n";
  for (const char* line : {"[1]", "{\"event\": 3}", "{\"event\": \"error\", \"done\": \"x\"}"}) {
    std::ofstream(folder / "log.jsonl") << line << '\n';
    EXPECT_EQ(read_status(folder.path()).shards.at(0).state, ShardState::kLost) << line;
  }
}

TEST(Status, SaysWhyAFolderIsNone) {
  const test::TemporaryFolder folder;
  const auto reason = [](const std::filesystem::path& path) {
    try {
      read_status(path);
    } catch (const ConfigError& error) {
      return std::string(error.what());
    }
    return std::string("no error");
  };
  EXPECT_THAT(reason(folder / "none"), testing::HasSubstr("no such folder"));
  EXPECT_THAT(reason(folder.path()), testing::HasSubstr("is no work_dir of a run"));
  std::ofstream(folder / "file") << "x";
  EXPECT_THAT(reason(folder / "file"), testing::HasSubstr("is no folder"));
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
