#include "tests/support/test_data.h"

#include <algorithm>
#include <cstdlib>
#include <stdexcept>

namespace cfp::test {
namespace fs = std::filesystem;
namespace {

fs::path from_environment(const char* variable, const char* folder_in_shared) {
  if (const char* value = std::getenv(variable); value != nullptr && *value != '\0') return value;
  return fs::path(CFP_SOURCE_DIR).parent_path() / "shared" / folder_in_shared;
}

}  // namespace

fs::path test_data() { return from_environment("CFP_TEST_DATA", "data"); }
fs::path golden_networks() { return from_environment("CFP_GOLDEN_NETWORKS", "golden_networks"); }
fs::path golden_scorers() { return from_environment("CFP_GOLDEN_SCORERS", "golden"); }
fs::path checkpoint_facts() { return from_environment("CFP_CHECKPOINT_FACTS", "facts"); }

std::vector<fs::path> json_files(const fs::path& folder) {
  std::vector<fs::path> files;
  if (!fs::exists(folder)) return files;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.path().extension() == ".json") files.push_back(entry.path());
  }
  std::ranges::sort(files);
  return files;
}

TemporaryFolder::TemporaryFolder() {
  std::string pattern = (fs::temp_directory_path() / "cfp-test-XXXXXX").string();
  if (mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("cannot make " + pattern);
  path_ = pattern;
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

}  // namespace cfp::test
