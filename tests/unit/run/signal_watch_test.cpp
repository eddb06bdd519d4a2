#include "pipeline/run/signal_watch.h"

#include <gtest/gtest.h>

namespace cfp {
namespace {

TEST(SignalWatch, NotesTheFirstSignalAndForgetsItForTheNextRun) {
  {
    const SignalWatch watch;
    EXPECT_EQ(SignalWatch::received(), 0);
    std::raise(SIGTERM);
    EXPECT_EQ(SignalWatch::received(), SIGTERM);
  }
  const SignalWatch again;
  EXPECT_EQ(SignalWatch::received(), 0);
}

TEST(SignalWatch, PutsBackWhatWasThere) {
  struct sigaction before {
  }, after{};
  sigaction(SIGINT, nullptr, &before);
  { const SignalWatch watch; }
  sigaction(SIGINT, nullptr, &after);
  EXPECT_EQ(before.sa_handler, after.sa_handler);
}

TEST(SignalWatch, SignalsOfABatchSystemMayComeAgain) {
  for (const int number : {SIGUSR1, SIGUSR2, SIGTERM}) {
    const SignalWatch watch;
    std::raise(number);
    std::raise(number);
    std::raise(SIGTERM);
    EXPECT_EQ(SignalWatch::received(), number);
  }
}

TEST(SignalWatch, AnInterruptBehindAnotherSignalIsNoSecondOne) {
  // Some batch systems send SIGUSR2 and then SIGINT before a time limit.
  const SignalWatch watch;
  std::raise(SIGUSR2);
  std::raise(SIGINT);
  EXPECT_EQ(SignalWatch::received(), SIGUSR2);
}

TEST(SignalWatchDeathTest, ASecondControlCEndsTheProgram) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(
      {
        const SignalWatch watch;
        std::raise(SIGINT);
        std::raise(SIGINT);
      },
      testing::KilledBySignal(SIGINT), "");
}

}  // namespace
}  // namespace cfp
