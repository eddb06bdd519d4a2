#include "tests/integration/program.h"

#include <atomic>
#include <chrono>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <thread>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/synthetic_video.h"

namespace cfp::test {

namespace fs = std::filesystem;

Program::Program(const std::vector<std::string>& arguments, const fs::path& folder,
                 std::int64_t address_space_bytes) {
  static std::atomic<int> number = 0;
  const int mine = number++;
  out_ = folder / fmt::format("program-{}.out", mine);
  err_ = folder / fmt::format("program-{}.err", mine);
  std::vector<std::string> words = {CFP_PROGRAM};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> pointers;
  for (std::string& word : words) pointers.push_back(word.data());
  pointers.push_back(nullptr);

  process_ = fork();
  if (process_ < 0) throw std::runtime_error("cannot fork");
  if (process_ > 0) return;
  // In the child: only calls that are safe after a fork.
  const int out = open(out_.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  const int err = open(err_.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  if (out < 0 || err < 0 || chdir(folder.c_str()) != 0) _exit(127);
  if (address_space_bytes > 0) {
    const auto bytes = static_cast<rlim_t>(address_space_bytes);
    const rlimit limit{bytes, bytes};
    if (setrlimit(RLIMIT_AS, &limit) != 0) _exit(127);
  }
  dup2(out, STDOUT_FILENO);
  dup2(err, STDERR_FILENO);
  execv(pointers[0], pointers.data());
  _exit(127);
}

void Program::signal(int number) const { kill(process_, number); }

bool Program::is_running() const {
  siginfo_t info{};
  return waitid(P_PID, static_cast<id_t>(process_), &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
         info.si_pid == 0;
}

std::int64_t Program::status(const std::string& field) const {
  std::ifstream file(fmt::format("/proc/{}/status", process_));
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with(field + ':')) return std::stoll(line.substr(field.size() + 1));
  }
  return 0;
}

std::int64_t Program::open_files() const {
  std::error_code error;
  const fs::directory_iterator files(fmt::format("/proc/{}/fd", process_), error);
  return error ? 0 : std::distance(begin(files), end(files));
}

ProgramResult Program::wait() {
  int status = 0;
  rusage usage{};
  if (wait4(process_, &status, 0, &usage) != process_) throw std::runtime_error("cannot wait");
  const int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return {.exit_code = code,
          .out = read_text(out_),
          .err = read_text(err_),
          .peak_memory_bytes = std::int64_t{usage.ru_maxrss} * 1024};
}

ProgramResult run_program(const std::vector<std::string>& arguments, const fs::path& folder) {
  return Program(arguments, folder).wait();
}

bool wait_until(const std::function<bool()>& question, double seconds) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
  while (!question()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return true;
}

void write_text(const fs::path& path, const std::string& text) {
  fs::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << text;
}

std::string read_text(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::runtime_error("cannot read " + path.string());
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

nlohmann::json read_json(const fs::path& path) { return nlohmann::json::parse(read_text(path)); }

std::string tiny_config(const std::string& dataset) {
  return fmt::format(
      "name: tiny\n"
      "dataset: {}\n"
      "sampling: {{clip_len: 8}}\n"
      "preprocess: {{preset: kenshohara2020, resize: 32, crop: 32}}\n"
      "network: {{type: resnet50_3d, checkpoint: random, num_classes: 5, blocks: [1, 1],\n"
      "          base_width: 8, stem_channels: 8, stem_kernel: [3, 3, 3]}}\n"
      "explain: {{depth: all}}\n"
      "output:\n  work_dir: out\n  summary_clips: 2\n",
      dataset);
}

void make_video(const fs::path& path) {
  fs::create_directories(path.parent_path());
  write_media(path, {{.width = 64, .height = 48, .frames = 20}});
}

}  // namespace cfp::test
