// Foreign programs as judges of our files.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>

#include <sys/wait.h>

namespace cfp::test {

/// How a program ended and all it printed.
struct CommandResult {
  int exit_code = -1;
  std::string output;
};

/// Runs a shell command of a test's own making.
inline CommandResult run_command(const std::string& command) {
  CommandResult result;
  std::FILE* pipe = ::popen((command + " 2>&1").c_str(), "r");
  if (pipe == nullptr) return result;
  char buffer[4096];
  while (const std::size_t size = std::fread(buffer, 1, sizeof buffer, pipe)) {
    result.output.append(buffer, size);
  }
  const int status = ::pclose(pipe);
  if (WIFEXITED(status)) result.exit_code = WEXITSTATUS(status);
  return result;
}

/// @return a Python that can import `module`: that of CFP_PYTHON, else the checkout's own, else the
///         system's; empty: none
inline std::string python_with(const std::string& module, const std::string& source_folder) {
  const char* given = std::getenv("CFP_PYTHON");
  for (const std::string& python : {std::string(given == nullptr ? "" : given),
                                    source_folder + "/.venv/bin/python", std::string("python3")}) {
    if (python.empty()) continue;
    if (run_command(python + " -c 'import " + module + "'").exit_code == 0) return python;
  }
  return {};
}

}  // namespace cfp::test

/// Skips a test where no Python has the module it needs.
#define CFP_SKIP_WITHOUT_PYTHON(python, module) \
  if ((python).empty())                         \
  GTEST_SKIP() << "needs a Python with the module " << (module) << "; CFP_PYTHON names one"
