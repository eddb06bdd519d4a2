// A real Slurm of one node, for as long as a test wants it.
//
//   SlurmNode node(folder / "slurm");
//   if (!node.reason().empty()) GTEST_SKIP() << node.reason();
//   const std::string state = node.field("12_1", "JobState");
#pragma once

#include <cstdio>
#include <filesystem>
#include <string>

namespace cfp::test {

/// Daemons of slurm_node.sh, which stops them when this goes, or when the test dies. Programs that
/// are started while it is there find it by the variable SLURM_CONF.
class SlurmNode {
 public:
  /// Starts it, where its packages are installed.
  /// @throws std::runtime_error they are, and it does not come up
  explicit SlurmNode(std::filesystem::path folder);
  ~SlurmNode();
  SlurmNode(const SlurmNode&) = delete;
  SlurmNode& operator=(const SlurmNode&) = delete;

  /// Reason for which there is none; empty: it is ready.
  const std::string& reason() const { return reason_; }

  /// @param job  `12`, or `12_1` for a task of an array
  /// @return     a field of `scontrol show job`; empty where there is no such job or field
  std::string field(const std::string& job, const std::string& name) const;

 private:
  std::filesystem::path folder_;
  std::string reason_;
  std::FILE* script_ = nullptr;  ///< its standard input
};

}  // namespace cfp::test
