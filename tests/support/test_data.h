// Where the tests find their data, and folders that clean up after themselves.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace cfp::test {

/// Folder of real clips and annotations: $CFP_TEST_DATA, else ../shared/data beside the checkout.
std::filesystem::path test_data();
/// Golden logits of the networks: $CFP_GOLDEN_NETWORKS, else ../shared/golden_networks.
std::filesystem::path golden_networks();
/// Golden cases of the `published` scorer: $CFP_GOLDEN_SCORERS, else ../shared/golden.
std::filesystem::path golden_scorers();
/// Checkpoint layouts and fixtures: $CFP_CHECKPOINT_FACTS, else ../shared/facts.
std::filesystem::path checkpoint_facts();

/// Every `*.json` of a folder, sorted; empty where the folder is absent.
std::vector<std::filesystem::path> json_files(const std::filesystem::path& folder);

/// A fresh folder, removed with all it holds when the object goes.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

}  // namespace cfp::test

/// Skips a test whose data are not on this machine, and says which folder it wanted.
#define CFP_SKIP_WITHOUT(folder)                                                       \
  if (!std::filesystem::exists(folder))                                                \
  GTEST_SKIP() << "needs the folder " << (folder) << "; set its environment variable " \
               << "(tests/support/test_data.h) to where it is"
