// Records that are damaged, made by something else, or made to do harm.
#include "pipeline/run/json_record.h"

#include <fstream>
#include <limits>
#include <string>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "pipeline/run/presence.h"
#include "pipeline/run/run_end.h"
#include "pipeline/run/status.h"
#include "stages/core/errors.h"
#include "tests/support/test_data.h"

namespace cfp {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

TEST(JsonRecord, GivesFieldsOfTheTypesThatAreAskedFor) {
  const JsonRecord record(
      R"({"n": 3, "low": -9223372036854775808, "x": 1.5, "yes": true, "s": "a\u00e9"})", "f");
  EXPECT_EQ(record.count("n"), 3);
  EXPECT_EQ(record.integer("low"), std::numeric_limits<std::int64_t>::min());
  EXPECT_EQ(record.real("x"), 1.5);
  EXPECT_EQ(record.real("n"), 3.0);
  EXPECT_TRUE(record.boolean("yes"));
  EXPECT_EQ(record.text("s"), "aé");
}

TEST(JsonRecord, NamesFileFieldAndWhatWasAllowed) {
  const JsonRecord record(R"({"big": 9223372036854775808, "x": 1e300, "negative": -1, "s": "a",
                              "many": 1000000000001, "list": [1]})",
                          "/run.json");
  const auto damaged = [](const char* what) {
    return ThrowsMessage<SystemError>(fmt::format("'/run.json' is damaged: {}", what));
  };
  EXPECT_THAT([&] { record.integer("big"); }, damaged("'big' is not an integer of 64 bits"));
  EXPECT_THAT([&] { record.integer("x"); }, damaged("'x' is not an integer"));
  EXPECT_THAT([&] { record.integer("none"); }, damaged("'none' is not an integer"));
  EXPECT_THAT([&] { record.count("negative"); },
              damaged("'negative' is not a number of 0 to 1000000000000"));
  EXPECT_THAT([&] { record.count("many"); },
              damaged("'many' is not a number of 0 to 1000000000000"));
  EXPECT_THAT([&] { record.real("s"); }, damaged("'s' is not a number"));
  EXPECT_THAT([&] { record.boolean("s"); }, damaged("'s' is not true or false"));
  EXPECT_THAT([&] { record.text("list"); }, damaged("'list' is not a text"));
}

TEST(JsonRecord, RefusesWhatIsNoObject) {
  const std::string deep(1'000'000, '[');
  for (const std::string& text : {std::string(), std::string("[1, 2]"), std::string("7"),
                                  std::string("{\"a\": 1"), std::string("\xff\xfe"), deep}) {
    EXPECT_THAT([&] { JsonRecord(text, "f"); },
                ThrowsMessage<SystemError>(HasSubstr("'f' is damaged: ")));
  }
}

TEST(JsonRecord, ReadsNoMoreOfAFileThanARecordHas) {
  const test::TemporaryFolder folder;
  std::ofstream(folder / "large.json") << "{}" << std::string(JsonRecord::kMaxBytes, ' ');
  EXPECT_THAT([&] { JsonRecord::of_file(folder / "large.json"); },
              ThrowsMessage<SystemError>(HasSubstr("larger than 16777216 bytes")));
  EXPECT_THAT([&] { JsonRecord::of_file("/dev/zero"); },
              ThrowsMessage<SystemError>(HasSubstr("larger than 16777216 bytes")));
  EXPECT_THAT([&] { JsonRecord::of_file(folder / "none.json"); },
              ThrowsMessage<SystemError>(HasSubstr("cannot read '")));
  EXPECT_THAT([&] { JsonRecord::of_file(folder.path()); }, testing::Throws<SystemError>());
}

TEST(JsonRecord, StatusOfRecordsOutOfRangeSaysSoOrPassesThemOver) {
  const test::TemporaryFolder folder;
  const auto identity = [&](const char* rows, const char* shards) {
    std::ofstream(folder / "identity.json") << fmt::format(
        R"({{"name": "n", "rows": {}, "shards": {}, "config_hash": "a", "manifest_hash": "b",)"
        R"( "weights_hash": "c", "config": ""}})",
        rows, shards);
  };
  const auto shard = folder / "shards/00001-of-00002";
  std::filesystem::create_directories(shard);
  identity("9223372036854775807", "2");
  EXPECT_THAT([&] { read_status(folder.path()); },
              ThrowsMessage<SystemError>(HasSubstr("'rows' is not a number of 0 to")));
  identity("20", "2");
  std::ofstream(shard / "run.json")
      << R"({"state": "complete", "exit_code": 0, "asked": 10, "done": -3, "failed": 13,)"
      << R"( "reason": "", "random_weights": false, "wall_s": 1})";
  EXPECT_FALSE(read_run_end(shard));
  std::ofstream(shard / kPresenceName)
      << R"({"id": "i", "host": "h", "boot": "b", "process": 1, "process_namespace": "",)"
      << R"( "process_start": 0, "started": "", "seen": "", "beat": 1, "beat_ms": 5000,)"
      << R"( "elapsed_s": 1e300, "rows": 10, "before": 0, "done": 1, "failed": 0})";
  const std::string text = describe(read_status(folder.path()));
  EXPECT_THAT(text, HasSubstr("n: 1 of 20 clips")) << "and a rate of next to nothing";
}

}  // namespace
}  // namespace cfp
