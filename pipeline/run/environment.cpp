#include "pipeline/run/environment.h"

#include <algorithm>
#include <fstream>

#include <nlohmann/json.hpp>
#include <sched.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "pipeline/run/build_info.h"
#include "pipeline/run/run_log.h"
#include "stages/network/fused_convolutions.h"

namespace cfp {
namespace {

std::string cpu_model() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("model name")) {
      const std::size_t colon = line.find(": ");
      if (colon != std::string::npos) return line.substr(colon + 2);
    }
  }
  return "unknown";
}

int usable_processors() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof(set), &set) == 0) return CPU_COUNT(&set);
  return static_cast<int>(sysconf(_SC_NPROCESSORS_ONLN));
}

}  // namespace

std::map<std::string, std::string> library_versions() {
  std::map<std::string, std::string> versions = build_info().libraries;
  versions["cfp"] = build_info().version;
  versions["git"] = build_info().git;
  return versions;
}

Machine describe_machine() {
  utsname system{};
  uname(&system);
  return {.cpu = cpu_model(),
          .processors = usable_processors(),
          .memory_bytes = std::int64_t{sysconf(_SC_PHYS_PAGES)} * sysconf(_SC_PAGE_SIZE),
          .system = std::string(system.sysname) + ' ' + system.release};
}

std::optional<std::string> slow_run_warning(const std::vector<std::string>& devices, bool fused) {
  if (fused || std::ranges::find(devices, "cpu") == devices.end()) return std::nullopt;
  return "LibTorch's fused oneDNN operators are not available: convolutions on the CPU take 1.3 "
         "to 5 times as long (LibTorch " +
         build_info().libraries.at("libtorch") + "; 2.13.0 on x86 has them)";
}

std::string environment_json(const std::string& command, const std::vector<std::string>& devices,
                             bool random_weights) {
  const Machine machine = describe_machine();
  nlohmann::ordered_json json{{"started", utc_time()},
                              {"command", command},
                              {"random_weights", random_weights},
                              {"versions", library_versions()},
                              {"compiler", build_info().compiler},
                              {"build_type", build_info().build_type},
                              {"cpu", machine.cpu},
                              {"processors", machine.processors},
                              {"memory_bytes", machine.memory_bytes},
                              {"system", machine.system},
                              {"devices", devices},
                              {"fused_convolutions", fused_convolutions_available()}};
  return json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + '\n';
}

}  // namespace cfp
