// How far a run is: a bar on a terminal, a line every half minute elsewhere.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <cstdio>
#include <mutex>
#include <string>
#include <thread>

namespace cfp {

/// A moment of a run.
struct ProgressState {
  std::int64_t rows = 0, done = 0, failed = 0;
  double elapsed_s = 0;
};

/// @return `120/500 clips, 3 failed, 4.2 clips/s, 1:30 left`
std::string describe_progress(const ProgressState& state);

/// @return a bar of `width` characters and describe_progress() behind it
std::string draw_progress_bar(const ProgressState& state, int width);

/// Shows progress from a thread of its own until it goes.
class Progress {
 public:
  /// @param out   usually stderr; a bar is drawn where it is a terminal
  /// @param line_every  between two lines, where it is none
  Progress(std::FILE* out, std::int64_t rows,
           std::chrono::milliseconds line_every = std::chrono::seconds(30));
  /// Ends the bar with a line of its own.
  ~Progress();

  void add_done() { ++done_; }
  void add_failed() { ++failed_; }
  ProgressState state() const;

 private:
  void show(std::stop_token stop);

  std::FILE* out_;
  bool is_terminal_;
  std::chrono::milliseconds line_every_;
  std::int64_t rows_;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  std::atomic<std::int64_t> done_ = 0, failed_ = 0;
  std::mutex mutex_;
  std::condition_variable_any wake_;
  std::jthread thread_;
};

}  // namespace cfp
