#include "pipeline/run/signal_watch.h"

#include <atomic>
#include <iterator>

namespace cfp {
namespace {

// A handler may touch nothing else; it is the one piece of state that cannot be handed around.
std::atomic<int> first_signal{0};
static_assert(std::atomic<int>::is_always_lock_free);

void note_signal(int number) {
  int none = 0;
  first_signal.compare_exchange_strong(none, number);
  // A second ^C is not held back: somebody is impatient. Batch systems send their signals more than
  // once, and one kind after the other, SIGINT among them, and mean nothing new by it.
  if (number != SIGINT) return;
  struct sigaction usual {};
  usual.sa_handler = SIG_DFL;
  sigaction(SIGINT, &usual, nullptr);
}

}  // namespace

SignalWatch::SignalWatch() {
  first_signal = 0;
  struct sigaction noting {};
  noting.sa_handler = note_signal;
  sigemptyset(&noting.sa_mask);
  noting.sa_flags = SA_RESTART;
  for (std::size_t i = 0; i < std::size(kWatched); ++i) {
    sigaction(kWatched[i], &noting, &before_[i]);
  }
}

SignalWatch::~SignalWatch() {
  for (std::size_t i = 0; i < std::size(kWatched); ++i) {
    sigaction(kWatched[i], &before_[i], nullptr);
  }
}

int SignalWatch::received() { return first_signal; }

}  // namespace cfp
