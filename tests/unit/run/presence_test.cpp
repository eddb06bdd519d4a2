#include "pipeline/run/presence.h"

#include <fstream>
#include <functional>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "pipeline/run/work_dir.h"
#include "stages/core/errors.h"
#include "tests/support/test_data.h"

namespace cfp {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

constexpr Heartbeat kQuick{.every = 50ms, .missed = 6};

/// What a process on another machine would have written.
void write_foreign(const fs::path& folder, int beat) {
  const nlohmann::json json{
      {"id", "foreign"},  {"host", "node7"}, {"boot", "elsewhere"},   {"process", 4711},
      {"beat", beat},     {"beat_ms", 50},   {"started", "long ago"}, {"seen", "now"},
      {"elapsed_s", 1.5}, {"rows", 10},      {"before", 2},           {"done", 3},
      {"failed", 1}};
  std::ofstream(folder / "running.json.new") << json;
  fs::rename(folder / "running.json.new", folder / kPresenceName);
}

TEST(Presence, SaysWhoIsThereAndHowFar) {
  const test::TemporaryFolder folder;
  {
    Presence presence(folder.path(), kQuick);
    const auto first = read_presence(folder.path());
    ASSERT_TRUE(first);
    EXPECT_TRUE(is_of_this_machine(*first));
    presence.set({.rows = 10, .before = 2, .done = 5, .failed = 1});
    // Several beats, on a busy machine.
    for (int i = 0; i < 200 && read_presence(folder.path())->advance.done != 5; ++i) {
      std::this_thread::sleep_for(20ms);
    }
    const auto later = read_presence(folder.path());
    EXPECT_EQ(later->advance.done, 5);
    EXPECT_GT(later->beat, first->beat);
    EXPECT_EQ(later->id, first->id);
  }
  EXPECT_FALSE(fs::exists(folder / kPresenceName)) << "left behind by a process that ended";
}

TEST(Presence, OfAnotherMachineThatLivesKeepsASecondOneOut) {
  const test::TemporaryFolder folder;
  { const WorkDir made(folder / "run"); }
  std::jthread other([&](std::stop_token stop) {
    for (int beat = 0; !stop.stop_requested(); ++beat) {
      write_foreign(folder / "run", beat);
      std::this_thread::sleep_for(20ms);
    }
  });
  std::this_thread::sleep_for(100ms);
  try {
    const WorkDir second(folder / "run", kQuick);
    ADD_FAILURE() << "two processes in one folder";
  } catch (const SystemError& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr("another run is writing in"));
    EXPECT_THAT(error.what(), testing::HasSubstr("process 4711 on node7, begun long ago"));
  }
}

TEST(Presence, OfAnotherMachineThatDiedIsTakenOver) {
  const test::TemporaryFolder folder;
  { const WorkDir made(folder / "run"); }
  write_foreign(folder / "run", 3);
  const WorkDir second(folder / "run", kQuick);
  EXPECT_NE(read_presence(folder / "run")->id, "foreign");
}

TEST(Presence, NoticesThatItWasTakenForDead) {
  const test::TemporaryFolder folder;
  const WorkDir mine(folder / "run", kQuick);
  EXPECT_NO_THROW(mine.require_own());
  write_foreign(folder / "run", 0);
  const auto lost = [&] {
    try {
      mine.require_own();
      return false;
    } catch (const SystemError&) {
      return true;
    }
  };
  for (int i = 0; i < 200 && !lost(); ++i) std::this_thread::sleep_for(20ms);
  EXPECT_TRUE(lost());
  EXPECT_EQ(read_presence(folder / "run")->id, "foreign") << "wrote over its successor";
}

TEST(Presence, TakesNothingForAFileThatIsNoneOfOurs) {
  const test::TemporaryFolder folder;
  for (const char* text : {"", "{}", "[1, 2]", "{\"id\": 7}", "\xff\xfe"}) {
    std::ofstream(folder / kPresenceName) << text;
    EXPECT_FALSE(read_presence(folder.path())) << text;
  }
}

}  // namespace
}  // namespace cfp
