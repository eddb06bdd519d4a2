#include "pipeline/run/signal_watch.h"

#include <atomic>

namespace cfp {
namespace {

// A handler may touch nothing else; it is the one piece of state that cannot be handed around.
std::atomic<int> first_signal{0};
static_assert(std::atomic<int>::is_always_lock_free);

void note_signal(int number) {
  int none = 0;
  first_signal.compare_exchange_strong(none, number);
  // The next one of either kind is not held back: somebody is impatient.
  struct sigaction usual {};
  usual.sa_handler = SIG_DFL;
  sigaction(SIGINT, &usual, nullptr);
  sigaction(SIGTERM, &usual, nullptr);
}

}  // namespace

SignalWatch::SignalWatch() {
  first_signal = 0;
  struct sigaction noting {};
  noting.sa_handler = note_signal;
  sigemptyset(&noting.sa_mask);
  noting.sa_flags = SA_RESTART;
  sigaction(SIGINT, &noting, &before_interrupt_);
  sigaction(SIGTERM, &noting, &before_terminate_);
}

SignalWatch::~SignalWatch() {
  sigaction(SIGINT, &before_interrupt_, nullptr);
  sigaction(SIGTERM, &before_terminate_, nullptr);
}

int SignalWatch::received() { return first_signal; }

}  // namespace cfp
