#include "pipeline/run/progress.h"

#include <algorithm>

#include <fmt/format.h>
#include <unistd.h>

namespace cfp {
namespace {

constexpr int kBarWidth = 30;
constexpr std::chrono::milliseconds kRedraw{250};

std::string clock_time(double seconds) {
  const auto whole = static_cast<std::int64_t>(seconds + 0.5);
  return whole < 3600 ? fmt::format("{}:{:02}", whole / 60, whole % 60)
                      : fmt::format("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60);
}

}  // namespace

std::string describe_progress(const ProgressState& state) {
  const std::int64_t ended = state.done + state.failed;
  std::string text = fmt::format("{}/{} clips", ended, state.rows);
  if (state.failed > 0) text += fmt::format(", {} failed", state.failed);
  if (ended > 0 && state.elapsed_s > 0) {
    const double rate = static_cast<double>(ended) / state.elapsed_s;
    text += fmt::format(", {:.1f} clips/s, {} left", rate,
                        clock_time(static_cast<double>(state.rows - ended) / rate));
  }
  return text;
}

std::string draw_progress_bar(const ProgressState& state, int width) {
  const std::int64_t ended = state.done + state.failed;
  const auto full = state.rows > 0 ? static_cast<std::size_t>(ended * width / state.rows) : 0;
  return fmt::format("[{}{}] {}", std::string(full, '#'),
                     std::string(static_cast<std::size_t>(width) - full, '.'),
                     describe_progress(state));
}

Progress::Progress(std::FILE* out, std::int64_t rows, std::chrono::milliseconds line_every)
    : out_(out),
      is_terminal_(isatty(fileno(out)) == 1),
      line_every_(line_every),
      rows_(rows),
      thread_([this](std::stop_token stop) { show(std::move(stop)); }) {}

Progress::~Progress() {
  thread_.request_stop();
  thread_.join();
  if (is_terminal_) fmt::print(out_, "\r\033[K{}\n", draw_progress_bar(state(), kBarWidth));
}

ProgressState Progress::state() const {
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start_;
  return {.rows = rows_, .done = done_, .failed = failed_, .elapsed_s = elapsed.count()};
}

void Progress::show(std::stop_token stop) {
  std::unique_lock lock(mutex_);
  const auto pause = is_terminal_ ? kRedraw : line_every_;
  while (!stop.stop_requested()) {
    wake_.wait_for(lock, stop, pause, [] { return false; });
    if (stop.stop_requested()) return;
    if (is_terminal_) {
      fmt::print(out_, "\r\033[K{}", draw_progress_bar(state(), kBarWidth));
    } else {
      fmt::print(out_, "{}\n", describe_progress(state()));
    }
    std::fflush(out_);
  }
}

}  // namespace cfp
