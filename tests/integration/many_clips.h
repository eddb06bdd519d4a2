// A run of two hundred small clips, some of them broken: what tests interrupt, cut and fill disks
// with; and the comparison of its results.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "tests/integration/program.h"
#include "tests/support/test_data.h"

namespace cfp::test {

/// @return whether tests do the full numbers: kills, disks, shards. Set by CFP_LONG_TESTS=1.
bool long_tests();

/// A seed that differs from run to run, or CFP_TEST_SEED; printed.
unsigned random_seed();

/// Clips, a config `c.yaml` and the results of an undisturbed run in `whole`.
class ManyClips {
 public:
  static constexpr int kRows = 200;
  /// Reason for which it cannot be used; empty: none.
  const std::string& reason() const { return reason_; }
  const std::filesystem::path& path() const { return folder_.path(); }
  std::filesystem::path operator/(const std::string& name) const { return folder_ / name; }

  /// Arguments of a run into a folder, with more of them.
  std::vector<std::string> run(const std::string& work_dir,
                               const std::vector<std::string>& more = {}) const;
  /// Seconds that the undisturbed run took, its start included.
  double seconds() const { return seconds_; }

  /// Compares a folder with the undisturbed run.
  /// @param option  `--rows` for merged shards
  /// @return what differs; empty: nothing
  std::string difference(const std::string& work_dir, const std::string& option = "") const;

  /// One for all tests of a program, in a folder of its own; its clips and the undisturbed run are
  /// those of the folder that CFP_MANY_CLIPS names, else made anew.
  static const ManyClips& get();

  /// Makes clips, config and undisturbed run in a folder; what is there goes.
  static void make(const std::filesystem::path& folder);

 private:
  ManyClips();

  TemporaryFolder folder_;
  std::string reason_;
  double seconds_ = 0;
};

}  // namespace cfp::test
