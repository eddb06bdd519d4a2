// Several devices, and too little memory on them: the results do not tell.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <thread>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "results/store/part_reader.h"
#include "tests/integration/many_clips.h"
#include "tests/integration/program.h"
#include "tests/support/sanitizers.h"
#include "tests/support/synthetic_video.h"
#include "tests/support/test_data.h"

namespace cfp::test {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

TEST(Devices, AnyNumberOfReplicasGivesTheSameToTheLastBit) {
  const ManyClips& clips = ManyClips::get();
  if (!clips.reason().empty()) GTEST_SKIP() << clips.reason();
  for (const std::string devices : {"[cpu, cpu]", "[cpu, cpu, cpu]"}) {
    const std::string work_dir = fmt::format("replicas{}", devices.size());
    const ProgramResult result =
        run_program(clips.run(work_dir, {"runtime.devices=" + devices}), clips.path());
    ASSERT_EQ(result.exit_code, 0) << result.err;
    EXPECT_THAT(read_text(clips / work_dir / "log.jsonl"),
                HasSubstr(fmt::format("\"replicas\":{}", std::ranges::count(devices, 'c'))));
    EXPECT_EQ(clips.difference(work_dir), "") << devices;
  }
}

TEST(Devices, OneThatIsNotThereEndsTheRunBeforeItBegins) {
  const ManyClips& clips = ManyClips::get();
  if (!clips.reason().empty()) GTEST_SKIP() << clips.reason();
  const ProgramResult result =
      run_program(clips.run("absent", {"runtime.devices=[cpu, 'cuda:63']"}), clips.path());
  EXPECT_EQ(result.exit_code, 4);
  EXPECT_THAT(result.err, HasSubstr("'cuda:63'"));
  EXPECT_FALSE(fs::exists(clips / "absent/part-00000.h5"));
}

/// Address space that a run took at most, by looking again and again while it works.
std::int64_t address_space(const std::vector<std::string>& arguments, const fs::path& folder) {
  Program program(arguments, folder);
  std::int64_t kilobytes = 0;
  while (program.is_running()) {
    kilobytes = std::max(kilobytes, program.status("VmPeak"));
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  const ProgramResult result = program.wait();
  EXPECT_EQ(result.exit_code, 0) << result.err;
  return kilobytes * 1024;
}

/// A network whose tensors of a batch are large beside everything else that the program needs.
class TooLittleMemory : public testing::Test {
 protected:
  void SetUp() override {
    if (kHasAddressSanitizer || kHasThreadSanitizer) {
      GTEST_SKIP() << "a sanitizer takes terabytes of address space";
    }
    write_media(folder_ / "a.mkv", {{.width = 64, .height = 64, .frames = 20}});
    std::string list = "path,label\n";
    for (int row = 0; row < kRows; ++row) list += fmt::format("a.mkv,{}\n", row % 5);
    write_text(folder_ / "list.csv", list);
    write_text(folder_ / "c.yaml",
               "name: tiny\n"
               "dataset: {type: list, file: list.csv, max_failures: 0}\n"
               "sampling: {clip_len: 16}\n"
               "preprocess: {preset: kenshohara2020, resize: 64, crop: 64}\n"
               "network: {type: resnet50_3d, checkpoint: random, num_classes: 5, blocks: [1, 1],\n"
               "          base_width: 32, stem_pool: false}\n"
               "runtime: {threads_per_device: 1, decode_workers: 1, max_batches_in_flight: 1}\n"
               "output: {summary_clips: 0}\n");
  }
  std::vector<std::string> run(int batch_size, const std::string& work_dir) const {
    return {"run", "c.yaml", "-q", "output.work_dir=" + work_dir,
            fmt::format("runtime.batch_size={}", batch_size)};
  }

  static constexpr int kRows = 32;
  TemporaryFolder folder_;
};

TEST_F(TooLittleMemory, HalvesTheBatchAndSaysSo) {
  const std::int64_t of_one = address_space(run(1, "one"), folder_.path());
  const std::int64_t of_many = address_space(run(16, "many"), folder_.path());
  // Not enough for 16, and for 8 still where the heap keeps what the first try left in pieces.
  const std::int64_t limit = of_one + (of_many - of_one) * 3 / 4;
  const ProgramResult result = Program(run(16, "halved"), folder_.path(), limit).wait();
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.err,
              HasSubstr("cfp: warning: cpu is out of memory, from now on it computes 8"));
  EXPECT_THAT(read_text(folder_ / "halved/log.jsonl"),
              HasSubstr(R"("event":"batch_halved","device":"cpu","batch_size":8)"));
  const PartReader whole(folder_ / "many/part-00000.h5"), halved(folder_ / "halved/part-00000.h5");
  ASSERT_EQ(halved.clips(), kRows);
  for (int i = 0; i < kRows; ++i) {
    const ClipResult want = whole.read(i), have = halved.read(i);
    EXPECT_EQ(have.row, want.row);
    // Another batch size, and so sums in another order: some 1e-6 of the largest logit.
    for (std::size_t c = 0; c < want.logits.size(); ++c) {
      EXPECT_NEAR(have.logits[c], want.logits[c], 1e-4 * std::abs(want.logits[want.prediction]));
    }
  }
}

}  // namespace
}  // namespace cfp::test
