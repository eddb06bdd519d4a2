// Whole runs through the program, on real clips and on tiny ones.
#include <algorithm>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "results/store/part_reader.h"
#include "tests/integration/program.h"
#include "tests/support/test_data.h"

namespace cfp::test {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

/// Everything of a part, with the times taken out.
struct PartContents {
  std::vector<ClipResult> clips;
  std::int64_t failures = 0;
};

PartContents read_part(const fs::path& path) {
  const PartReader part(path);
  PartContents contents{.failures = part.failures()};
  for (std::int64_t i = 0; i < part.clips(); ++i) contents.clips.push_back(part.read(i));
  return contents;
}

void expect_equal(const ChannelRelevance& a, const ChannelRelevance& b) {
  EXPECT_EQ(a.positive, b.positive);
  EXPECT_EQ(a.negative, b.negative);
  EXPECT_EQ(a.score, b.score);
  EXPECT_EQ(a.found, b.found);
  EXPECT_EQ(a.reached, b.reached);
}

/// To the bit: the same clips in the same batches must give the same numbers.
void expect_equal(const PartContents& a, const PartContents& b) {
  EXPECT_EQ(a.failures, b.failures);
  ASSERT_EQ(a.clips.size(), b.clips.size());
  for (std::size_t i = 0; i < a.clips.size(); ++i) {
    SCOPED_TRACE(a.clips[i].clip_id);
    EXPECT_EQ(a.clips[i].clip_id, b.clips[i].clip_id);
    EXPECT_EQ(a.clips[i].view, b.clips[i].view);
    EXPECT_EQ(a.clips[i].logits, b.clips[i].logits);
    EXPECT_EQ(a.clips[i].frame_times_s, b.clips[i].frame_times_s);
    const Pyramid &p = a.clips[i].pyramids.at(0), &q = b.clips[i].pyramids.at(0);
    EXPECT_EQ(p.target.class_index, q.target.class_index);
    ASSERT_EQ(p.layers.size(), q.layers.size());
    for (std::size_t l = 0; l < p.layers.size(); ++l) {
      expect_equal(p.layers[l].kernels, q.layers[l].kernels);
      expect_equal(p.layers[l].channels, q.layers[l].channels);
      EXPECT_EQ(p.layers[l].edges, q.layers[l].edges);
      EXPECT_EQ(p.layers[l].tube.values, q.layers[l].tube.values);
    }
  }
}

/// summary.json but for what tells of times.
nlohmann::json without_times(const fs::path& path) {
  nlohmann::json summary = read_json(path);
  summary.erase("seconds_a_clip");
  summary.erase("slowest_clips");
  return summary;
}

class RealClips : public testing::TestWithParam<const char*> {};

// All six networks, cut down to a few channels: the way is the same, the time is not.
TEST_P(RealClips, GiveTheSameWithAnyNumberOfWorkers) {
  CFP_SKIP_WITHOUT(test_data() / "clips");
  const TemporaryFolder folder;
  const std::string base = fmt::format("{}/configs/_base_/{}.yaml", CFP_SOURCE_DIR, GetParam());
  write_text(folder / "c.yaml",
             fmt::format("_base_: {}\n"
                         "dataset: {{type: folder, data_root: {}, max_failures: 2}}\n"
                         "network: {{checkpoint: random, num_classes: 20, base_width: 32}}\n"
                         "explain: {{depth: 3}}\n",
                         base, (test_data() / "clips").string()));
  std::vector<std::string> narrow;
  if (std::string(GetParam()).starts_with("res")) narrow = {"network.blocks=[1, 1, 1, 1]"};
  for (const int workers : {1, 4}) {
    std::vector<std::string> arguments = {"run", "c.yaml",
                                          fmt::format("output.work_dir=out{}", workers),
                                          fmt::format("runtime.decode_workers={}", workers)};
    arguments.insert(arguments.end(), narrow.begin(), narrow.end());
    const ProgramResult result = run_program(arguments, folder.path());
    ASSERT_EQ(result.exit_code, 0) << result.out << result.err;
    EXPECT_THAT(result.out, HasSubstr("RANDOM WEIGHTS"));
  }
  const PartContents one = read_part(folder / "out1/part-00000.h5");
  EXPECT_GE(one.clips.size(), 6u);
  EXPECT_GE(one.failures, 1) << "corrupted.mp4 was explained";
  expect_equal(one, read_part(folder / "out4/part-00000.h5"));
  for (const char* name : {"manifest.csv", "failures.csv", "per_class.csv", "per_layer.csv",
                           "per_kernel.csv", "confusion.csv", "class_overlap.csv"}) {
    EXPECT_EQ(read_text(folder / "out1" / name), read_text(folder / "out4" / name)) << name;
  }
  EXPECT_EQ(without_times(folder / "out1/summary.json"),
            without_times(folder / "out4/summary.json"));
  const auto end = read_json(folder / "out1/run.json");
  EXPECT_EQ(end["done"].get<int>() + end["failed"].get<int>(), end["asked"].get<int>());
}

INSTANTIATE_TEST_SUITE_P(Networks, RealClips,
                         testing::Values("resnet50", "resnet101", "resnet152", "resnext101",
                                         "mfnet", "i3d"));

class Run : public testing::Test {
 protected:
  void SetUp() override {
    for (const char* name : {"a/one.mkv", "a/two words.mkv", "b/#3 & ü.mkv"}) {
      make_video(folder_ / (std::string("clips/") + name));
    }
    write_text(folder_ / "c.yaml", tiny_config("{type: folder, data_root: clips}"));
  }
  ProgramResult run(std::vector<std::string> overrides) {
    overrides.insert(overrides.begin(), {"run", "c.yaml", "output.overwrite=true"});
    const ProgramResult result = run_program(overrides, folder_.path());
    EXPECT_EQ(result.exit_code, 0) << result.out << result.err;
    return result;
  }

  TemporaryFolder folder_;
};

TEST_F(Run, LeavesEveryFileThatTheReadmeNames) {
  const ProgramResult result = run({});
  EXPECT_THAT(result.out, HasSubstr("3 of 3 clips explained, 0 failed, RANDOM WEIGHTS"));
  for (const char* name : {"config.yaml", "overrides.txt", "environment.json", "manifest.csv",
                           "log.jsonl", "part-00000.h5", "failures.csv", "run.json", "summary.json",
                           "summary.csv", "per_class.csv", "per_layer.csv", "summary.html"}) {
    EXPECT_TRUE(fs::exists(folder_ / "out" / name)) << name;
  }
  EXPECT_EQ(read_json(folder_ / "out/run.json")["state"], "complete");
  EXPECT_THAT(read_text(folder_ / "out/overrides.txt"), HasSubstr("output.overwrite=true\n"));
}

TEST_F(Run, EveryOutputSaysThatTheWeightsAreRandom) {
  run({});
  for (const char* name :
       {"config.yaml", "environment.json", "log.jsonl", "run.json", "summary.json", "summary.csv",
        "per_class.csv", "per_layer.csv", "summary.html"}) {
    std::string text = read_text(folder_ / "out" / name);
    std::ranges::transform(text, text.begin(), [](unsigned char c) { return std::tolower(c); });
    EXPECT_THAT(text, HasSubstr("random")) << name;
  }
  EXPECT_TRUE(PartReader(folder_ / "out/part-00000.h5").header().random_weights);
}

TEST_F(Run, ItsConfigGivesTheSameRunAgain) {
  run({"explain.target=prediction", "sampling.frame_interval=2"});
  const PartContents first = read_part(folder_ / "out/part-00000.h5");
  const ProgramResult again = run_program(
      {"run", "out/config.yaml", "output.work_dir=again", "output.overwrite=true"}, folder_.path());
  ASSERT_EQ(again.exit_code, 0) << again.err;
  expect_equal(first, read_part(folder_ / "again/part-00000.h5"));
  const PartReader one(folder_ / "out/part-00000.h5"), two(folder_ / "again/part-00000.h5");
  EXPECT_EQ(one.header().config_hash, two.header().config_hash);
  EXPECT_EQ(one.header().weights_hash, two.header().weights_hash);
  EXPECT_EQ(one.header().manifest_hash, two.header().manifest_hash);
}

TEST_F(Run, TwoReplicasOnOneDeviceGiveTheSameAsOne) {
  run({"runtime.batch_size=1", "runtime.devices=[cpu]", "runtime.threads_per_device=1"});
  const PartContents one = read_part(folder_ / "out/part-00000.h5");
  run({"runtime.batch_size=1", "runtime.devices=[cpu, cpu]", "runtime.threads_per_device=1"});
  expect_equal(one, read_part(folder_ / "out/part-00000.h5"));
}

TEST_F(Run, TakesSeveralViewsOfAVideo) {
  run({"sampling.policy=uniform", "sampling.num_clips=3"});
  const PartContents contents = read_part(folder_ / "out/part-00000.h5");
  ASSERT_EQ(contents.clips.size(), 9u);
  EXPECT_EQ(contents.clips[4].view, 1);
  EXPECT_EQ(contents.clips[4].row, 1);
  EXPECT_EQ(read_json(folder_ / "out/run.json")["done"], 3);
}

TEST_F(Run, LeavesOutWhatIsNotWanted) {
  run({"output.edges=false", "output.tubes=none"});
  const PartReader part(folder_ / "out/part-00000.h5");
  EXPECT_FALSE(part.has_edges());
  EXPECT_FALSE(part.has_tubes());
  run({"explain.tubes=none", "output.summary_clips=0"});
  EXPECT_FALSE(PartReader(folder_ / "out/part-00000.h5").has_tubes());
}

TEST_F(Run, ExplainsFramesOfAnySizeInOneBatch) {
  write_text(folder_ / "clips/b/other.mkv", "");
  make_video(folder_ / "clips/b/other.mkv");
  run({"preprocess.resize_mode=none", "preprocess.crop=0"});
  EXPECT_EQ(read_part(folder_ / "out/part-00000.h5").clips.size(), 4u);
}

}  // namespace
}  // namespace cfp::test
