// ^C and the signals of batch systems as a question that a run can ask.
#pragma once

#include <csignal>

namespace cfp {

/// While one lives, the first SIGINT, SIGTERM, SIGUSR1 or SIGUSR2 is only noted, and later ones
/// change nothing; but a second ^C ends the program as usual. At most one at a time.
class SignalWatch {
 public:
  SignalWatch();
  /// Puts back what was done with the signals before.
  ~SignalWatch();
  SignalWatch(const SignalWatch&) = delete;
  SignalWatch& operator=(const SignalWatch&) = delete;

  /// @return the number of the first signal that came, 0 while none has
  static int received();

 private:
  static constexpr int kWatched[] = {SIGINT, SIGTERM, SIGUSR1, SIGUSR2};
  struct sigaction before_[4]{};
};

}  // namespace cfp
