#include "tests/integration/slurm_node.h"

#include <regex>
#include <stdexcept>

#include <fmt/format.h>
#include <stdlib.h>

#include "tests/integration/program.h"
#include "tests/support/run_command.h"

namespace cfp::test {
namespace fs = std::filesystem;

SlurmNode::SlurmNode(fs::path folder) : folder_(std::move(folder)) {
  for (const char* program : {"munged", "slurmctld", "slurmd", "sbatch"}) {
    const std::string look = fmt::format("PATH=$PATH:/usr/sbin command -v {}", program);
    if (run_command(look).exit_code == 0) continue;
    reason_ = fmt::format("needs Slurm and munge, and there is no {}", program);
    return;
  }
  fs::create_directories(folder_);
  // 'e': programs that the test starts do not hold it open.
  script_ = popen(fmt::format("exec {}/tests/integration/slurm_node.sh {} >{}/node.out 2>&1",
                              CFP_SOURCE_DIR, folder_.string(), folder_.string())
                      .c_str(),
                  "we");
  if (script_ == nullptr) throw std::runtime_error("cannot start slurm_node.sh");
  if (!wait_until([&] { return fs::exists(folder_ / "ready"); })) {
    pclose(script_);
    throw std::runtime_error(
        "Slurm did not start: " +
        run_command(fmt::format("cd {} && tail -n 20 *.out", folder_.string())).output);
  }
  setenv("SLURM_CONF", (folder_ / "slurm.conf").c_str(), 1);
}

SlurmNode::~SlurmNode() {
  if (script_ == nullptr) return;
  unsetenv("SLURM_CONF");
  pclose(script_);
}

std::string SlurmNode::field(const std::string& job, const std::string& name) const {
  const std::string record = run_command("scontrol --oneliner show job " + job).output;
  std::smatch found;
  return std::regex_search(record, found, std::regex("(?:^| )" + name + "=(\\S*)")) ? found.str(1)
                                                                                    : "";
}

}  // namespace cfp::test
