#include "pipeline/run/presence.h"

#include <algorithm>
#include <atomic>
#include <fstream>
#include <functional>
#include <new>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pipeline/run/work_dir.h"
#include "results/store/part_reader.h"
#include "results/store/part_writer.h"
#include "stages/core/output_file.h"
#include "tests/support/test_data.h"

namespace cfp {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

constexpr Heartbeat kQuick{.every = 50ms, .missed = 6};

/// What a process on another machine would have written.
/// @param boot  of its machine
void write_foreign(const fs::path& folder, int beat, const std::string& boot = "elsewhere") {
  const nlohmann::json json{{"id", "foreign"},
                            {"host", "node7"},
                            {"boot", boot},
                            {"process", 4711},
                            {"process_namespace", "pid:[1]"},
                            {"process_start", 12},
                            {"beat", beat},
                            {"beat_ms", 50},
                            {"started", "long ago"},
                            {"seen", "now"},
                            {"elapsed_s", 1.5},
                            {"rows", 10},
                            {"before", 2},
                            {"done", 3},
                            {"failed", 1}};
  std::ofstream(folder / "running.json.new") << json;
  fs::rename(folder / "running.json.new", folder / kPresenceName);
}

TEST(Presence, SaysWhoIsThereAndHowFar) {
  const test::TemporaryFolder folder;
  {
    Presence presence(folder.path(), kQuick, true);
    const auto first = read_presence(folder.path());
    ASSERT_TRUE(first);
    EXPECT_FALSE(has_ended(*first));
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

// Of another container too, which has the same boot and another lock.
TEST(Presence, OfAnotherMachineThatLivesKeepsASecondOneOut) {
  const test::TemporaryFolder folder;
  std::string boot;
  {
    const WorkDir made(folder / "run");
    boot = read_presence(folder / "run")->boot;
  }
  for (const std::string& at : {std::string("elsewhere"), boot}) {
    std::jthread other([&](std::stop_token stop) {
      for (int beat = 0; !stop.stop_requested(); ++beat) {
        write_foreign(folder / "run", beat, at);
        std::this_thread::sleep_for(20ms);
      }
    });
    std::this_thread::sleep_for(100ms);
    try {
      const WorkDir second(folder / "run", kQuick);
      ADD_FAILURE() << "two processes in one folder";
    } catch (const FolderTaken& error) {
      EXPECT_THAT(error.what(), testing::HasSubstr("another run is writing in"));
      EXPECT_THAT(error.what(), testing::HasSubstr("process 4711 on node7, begun long ago"));
    }
  }
}

TEST(Presence, OfAnotherMachineThatDiedIsTakenOver) {
  const test::TemporaryFolder folder;
  { const WorkDir made(folder / "run"); }
  write_foreign(folder / "run", 3);
  const WorkDir second(folder / "run", kQuick);
  EXPECT_NE(read_presence(folder / "run")->id, "foreign");
}

std::string error_of(const WorkDir& dir) {
  try {
    dir.require_own();
  } catch (const FolderTaken& error) {
    return error.what();
  }
  return "no error";
}

TEST(Presence, NoticesThatItWasTakenForDead) {
  const test::TemporaryFolder folder;
  const WorkDir mine(folder / "run", kQuick);
  EXPECT_NO_THROW(mine.require_own());
  write_foreign(folder / "run", 0);
  EXPECT_THAT(error_of(mine),
              AllOf(testing::HasSubstr("was taken for dead, and another one writes"),
                    testing::HasSubstr("process 4711 on node7")));
  std::this_thread::sleep_for(3 * kQuick.every);
  EXPECT_EQ(read_presence(folder / "run")->id, "foreign") << "wrote over its successor";
}

TEST(Presence, NoticesThatItsSuccessorHasEndedAlready) {
  const test::TemporaryFolder folder;
  const WorkDir mine(folder / "run", kQuick);
  fs::remove(folder / "run/running.json");
  EXPECT_THAT(error_of(mine), testing::HasSubstr("running.json' is gone or cannot be read"));
  std::this_thread::sleep_for(3 * kQuick.every);
  EXPECT_FALSE(fs::exists(folder / "run/running.json")) << "came back after it was given up";
}

/// What the forked processes of a test tell each other.
struct Shared {
  std::atomic<int> ready{0}, inside{0}, most_inside{0}, lost{0}, go{0};
};

class Processes : public testing::Test {
 protected:
  Processes()
      : shared_(new (mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE,
                          MAP_SHARED | MAP_ANONYMOUS, -1, 0)) Shared) {}
  ~Processes() override { munmap(shared_, sizeof(Shared)); }

  /// Starts a process that does something and exits with what it returns; 99 for an exception.
  static pid_t start(const std::function<int()>& action) {
    const pid_t child = fork();
    if (child != 0) return child;
    int code = 99;
    try {
      code = action();
    } catch (const std::exception& error) {
      fmt::print(stderr, "process {}: {}\n", getpid(), error.what());
    }
    _exit(code);
  }
  static int end_of(pid_t child) {
    int status = 0;
    EXPECT_EQ(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }
  static void wait_for(const std::atomic<int>& number, int value) {
    for (int i = 0; i < 1000 && number < value; ++i) std::this_thread::sleep_for(10ms);
  }
  static void write_part(const fs::path& path, const std::string& message,
                         const std::function<void()>& before_the_end) {
    PartWriter part(path, {});
    part.append_failure({.row = 0,
                         .clip_id = "a",
                         .path = "a.mp4",
                         .stage = "decode",
                         .reason = FailureReason::kMissing,
                         .message = message});
    before_the_end();
    part.finish();
  }
  static std::string message_in(const fs::path& part) {
    return PartReader(part).read_failure(0).message;
  }

  /// Two processes go for one folder at the same moment, without locks. One must have it.
  void race(const fs::path& path) {
    new (shared_) Shared;
    const auto contender = [&] {
      ++shared_->ready;
      while (shared_->ready < 2) {
      }
      try {
        const WorkDir mine(path, kQuick, FolderLock::kNone);
        shared_->most_inside = std::max<int>(shared_->most_inside, ++shared_->inside);
        write_part(mine / "part-00000.h5", std::to_string(getpid()), [&] {
          std::this_thread::sleep_for(20ms);
          mine.require_own();
        });
        // The other one must find a process that lives.
        wait_for(shared_->lost, 1);
        mine.require_own();
        --shared_->inside;
        return 0;
      } catch (const FolderTaken&) {
        ++shared_->lost;
        return 1;
      }
    };
    const pid_t first = start(contender), second = start(contender);
    const int first_end = end_of(first), second_end = end_of(second);
    EXPECT_EQ(std::min(first_end, second_end), 0) << first_end << " and " << second_end;
    EXPECT_EQ(std::max(first_end, second_end), 1) << first_end << " and " << second_end;
    EXPECT_EQ(shared_->most_inside, 1);
    EXPECT_EQ(message_in(path / "part-00000.h5"), std::to_string(first_end == 0 ? first : second));
    for (const auto& entry : fs::directory_iterator(path)) {
      EXPECT_NE(entry.path().extension(), ".tmp") << entry.path();
    }
    EXPECT_FALSE(fs::exists(path / kPresenceName));
  }

  Shared* shared_;
};

TEST_F(Processes, ThatComeAtOnceAreToldApart) {
  const test::TemporaryFolder folder;
  for (int i = 0; i < 25; ++i) race(folder / std::to_string(i));
}

TEST_F(Processes, ThatBothFindADeadOneAreToldApart) {
  const test::TemporaryFolder folder;
  for (int i = 0; i < 8; ++i) {
    // One of another machine, which both watch, and one of this, which both know to have ended.
    const fs::path path = folder / std::to_string(i);
    shared_->ready = 0;
    const pid_t killed = start([&] {
      const WorkDir mine(path, kQuick);
      ++shared_->ready;
      pause();
      return 0;
    });
    wait_for(shared_->ready, 1);
    kill(killed, SIGKILL);
    end_of(killed);
    if (i % 2 == 0) write_foreign(path, 3);
    race(path);
  }
}

TEST_F(Processes, OneThatWasThoughtDeadTouchesNothingWhenItWakes) {
  const test::TemporaryFolder folder;
  const fs::path path = folder / "run";
  const pid_t stalled = start([&] {
    const WorkDir mine(path, kQuick, FolderLock::kNone);
    try {
      write_part(mine / "part-00000.h5", "stalled", [&] {
        ++shared_->ready;
        wait_for(shared_->go, 1);
      });
      return 2;
    } catch (const TemporaryGone&) {
    }
    try {
      mine.require_own();
      return 3;
    } catch (const FolderTaken&) {
      return 0;
    }
  });
  wait_for(shared_->ready, 1);
  kill(stalled, SIGSTOP);
  {
    const WorkDir mine(path, kQuick, FolderLock::kNone);
    write_part(mine / "part-00000.h5", "successor", [&] { mine.require_own(); });
    shared_->go = 1;
    kill(stalled, SIGCONT);
    EXPECT_EQ(end_of(stalled), 0);
    EXPECT_NO_THROW(mine.require_own());
  }
  EXPECT_EQ(message_in(path / "part-00000.h5"), "successor");
}

TEST_F(Processes, AKilledOneIsKnownToHaveEnded) {
  const test::TemporaryFolder folder;
  const pid_t killed = start([&] {
    const WorkDir mine(folder / "run");
    ++shared_->ready;
    pause();
    return 0;
  });
  wait_for(shared_->ready, 1);
  PresenceRecord record = read_presence(folder / "run").value();
  EXPECT_FALSE(has_ended(record));
  for (const auto& [change, ended] :
       std::vector<std::pair<std::function<void(PresenceRecord&)>, bool>>{
           {[](PresenceRecord& r) { ++r.process_start; }, true},
           {[](PresenceRecord& r) { r.process_namespace = "pid:[1]"; }, false},
           {[](PresenceRecord& r) { r.process_namespace.clear(); }, false}}) {
    PresenceRecord changed = record;
    change(changed);
    EXPECT_EQ(has_ended(changed), ended);
  }
  kill(killed, SIGKILL);
  siginfo_t info{};
  waitid(P_PID, static_cast<id_t>(killed), &info, WEXITED | WNOWAIT);
  EXPECT_TRUE(has_ended(record)) << "nobody has asked yet how it ended";
  end_of(killed);
  EXPECT_TRUE(has_ended(record));
  record.boot = "elsewhere";
  EXPECT_FALSE(has_ended(record));
  // With the usual beat others would be watched for twenty seconds.
  const auto start = std::chrono::steady_clock::now();
  { const WorkDir again(folder / "run"); }
  EXPECT_LT(std::chrono::steady_clock::now() - start, 3s);
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
