// SIGINT and SIGTERM as a question that a run can ask.
#pragma once

#include <csignal>

namespace cfp {

/// While one lives, the first SIGINT or SIGTERM is only noted; a second one ends the program as
/// usual. At most one at a time.
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
  struct sigaction before_interrupt_ {};
  struct sigaction before_terminate_ {};
};

}  // namespace cfp
