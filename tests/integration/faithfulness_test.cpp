// Whether what the program finds in a trained network matters to it: PyTorch takes it away.
#include <cstdint>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "datasets/moving_shapes.h"
#include "tests/integration/program.h"
#include "tests/support/run_command.h"
#include "tests/support/test_data.h"

namespace cfp::test {
namespace {

TEST(Faithfulness, FoundChannelsMatterMoreThanOthers) {
  const std::string python = python_with("torch, numpy, av, h5py", CFP_SOURCE_DIR);
  CFP_SKIP_WITHOUT_PYTHON(python, "torch, numpy, av, h5py");
  if (run_command("ffmpeg -version").exit_code != 0) GTEST_SKIP() << "needs ffmpeg";
  const TemporaryFolder folder;
  const CommandResult script = run_command(fmt::format(
      "{} '{}/scripts/faithfulness.py' --check --count 50 --networks mfnet3d --cfp '{}' "
      "--tool '{}' --clips '{}'",
      python, CFP_SOURCE_DIR, CFP_PROGRAM, CFP_MOVING_SHAPES, folder.path().string()));
  EXPECT_EQ(script.exit_code, 0) << script.output;
  EXPECT_NE(script.output.find("alone kept"), std::string::npos) << script.output;
}

TEST(Faithfulness, MasksAreThoseOfTheGenerator) {
  const TemporaryFolder folder;
  const CommandResult tool = run_command(fmt::format(
      "cd '{}' && '{}' --out clips --count 3 --clip_len 17 --size 32 --seed 5 --masks m",
      folder.path().string(), CFP_MOVING_SHAPES));
  ASSERT_EQ(tool.exit_code, 0) << tool.output;
  const MovingShapesOptions options{.count = 3, .clip_len = 17, .size = 32, .seed = 5};
  std::string expected;
  for (std::int64_t clip = 0; clip < options.count; ++clip) {
    const std::vector<std::uint8_t> mask = moving_shapes_mask(options, clip);
    expected.append(mask.begin(), mask.end());
  }
  EXPECT_NE(expected.find('\1'), std::string::npos);
  EXPECT_TRUE(read_text(folder / "m") == expected);
}

}  // namespace
}  // namespace cfp::test
