// Numbers stored as steps of a range: how far off they are, and what they cost.
#include "results/store/steps.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "results/store/part_reader.h"
#include "results/store/part_writer.h"
#include "tests/support/test_data.h"
#include "tests/unit/store/example_clips.h"

namespace cfp {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

TEST(Steps, AreOffByHalfOfOneAtMostAndKeepBothEnds) {
  for (const StoredAs stored : {StoredAs::kUInt16, StoredAs::kUInt8}) {
    const int count = step_count(stored);
    const Steps steps(-2, 5, count);
    float worst = 0;
    for (int i = 0; i <= 100'000; ++i) {
      const float value = -2 + 7 * static_cast<float>(i) / 100'000;
      const float back = steps.from_stored(steps.to_stored(value));
      worst = std::max(worst, std::abs(back - value));
      // A result that was rounded is not rounded further.
      EXPECT_EQ(steps.from_stored(steps.to_stored(back)), back);
    }
    EXPECT_LE(worst, 7.0F / static_cast<float>(count) / 2 + 1e-6F);  // + float32 around 5
    EXPECT_EQ(steps.from_stored(steps.to_stored(-2)), -2);
    EXPECT_EQ(steps.from_stored(steps.to_stored(5)), 5);
  }
}

TEST(Steps, OfNoRangeAreItsMinimum) {
  EXPECT_EQ(Steps(3, 3, 255).from_stored(Steps(3, 3, 255).to_stored(3)), 3);
  const Steps infinite(0, kInfinity, 255);
  EXPECT_EQ(infinite.to_stored(7), 0);
  EXPECT_EQ(Steps(0, 1, 255).to_stored(std::nanf("")), 0);
  EXPECT_TRUE(std::isnan(Steps(std::nanf(""), 1, 255).from_stored(0)));
}

TEST(Steps, LeaveNoEdgeAtZero) {
  const Steps steps(0, 1000, 65535);
  EXPECT_EQ(to_stored_score(steps, 1e-9F), 1);
  EXPECT_EQ(to_stored_score(steps, 1000), 65535);
}

class StoredAsSteps : public testing::TestWithParam<StoredAs> {};

TEST_P(StoredAsSteps, IsReadAsItWasRounded) {
  const test::TemporaryFolder folder;
  const StoreOptions options{.tube_values = GetParam(), .edge_scores = StoredAs::kUInt16};
  const test::ExampleShape shape{.targets = 2};
  constexpr int kClips = 70;  // past one chunk of rows
  PartWriter writer(folder / "part.h5", {}, options);
  for (int i = 0; i < kClips; ++i) writer.append(test::example_clip(i, shape));
  writer.finish();
  const PartReader part(folder / "part.h5");
  for (int i = 0; i < kClips; ++i) {
    ClipResult wanted = test::example_clip(i, shape);
    round_as_stored(wanted, options);
    const ClipResult read = part.read(i);
    for (std::size_t k = 0; k < wanted.pyramids.size(); ++k) {
      for (std::size_t l = 0; l < wanted.pyramids[k].layers.size(); ++l) {
        const PyramidLayer& want = wanted.pyramids[k].layers[l];
        const PyramidLayer& have = read.pyramids.at(k).layers.at(l);
        EXPECT_EQ(have.edges, want.edges);
        EXPECT_EQ(have.tube.values, want.tube.values);
        EXPECT_EQ(have.tube.minimum, want.tube.minimum);
        EXPECT_EQ(have.tube.maximum, want.tube.maximum);
        EXPECT_EQ(have.kernels.score, want.kernels.score);
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Numbers, StoredAsSteps,
                         testing::Values(StoredAs::kFloat32, StoredAs::kUInt16, StoredAs::kUInt8));

/// Bytes of a part of 64 clips with one layer, whose tube has numbers that hardly pack.
std::uintmax_t part_bytes(const StoreOptions& options) {
  const test::TemporaryFolder folder;
  PartWriter writer(folder / "part.h5", {}, options);
  for (int i = 0; i < 64; ++i) {
    ClipResult clip = test::example_clip(i, {.layers = 1});
    Tube& tube = clip.pyramids[0].layers[0].tube;
    tube = {4, 14, 14, {}, 0, 1};
    for (int v = 0; v < 4 * 14 * 14; ++v) {
      tube.values.push_back(std::abs(std::sin(static_cast<float>(v * 64 + i) * 12.9898F)));
    }
    writer.append(clip);
  }
  writer.finish();
  return std::filesystem::file_size(folder / "part.h5");
}

TEST(PartWriter, TubesTakeLittleMoreThanTheirNumbers) {
  constexpr double kNumbers = 64.0 * 4 * 14 * 14;
  const auto tube_bytes = [](StoreOptions options) {
    StoreOptions none = options;
    none.tubes = false;
    return static_cast<double>(part_bytes(options) - part_bytes(none));
  };
  for (const std::optional<int> level : {std::optional<int>(), std::optional<int>(0)}) {
    EXPECT_LE(tube_bytes({.deflate = level}), 1.05 * 4 * kNumbers);
    EXPECT_LE(tube_bytes({.tube_values = StoredAs::kUInt16, .deflate = level}), 1.1 * 2 * kNumbers);
    EXPECT_LE(tube_bytes({.tube_values = StoredAs::kUInt8, .deflate = level}), 1.2 * kNumbers);
  }
}

TEST(PartWriter, TakesAnyLevelAndAnyChunk) {
  const test::TemporaryFolder folder;
  for (const std::optional<int> level : {std::optional<int>(), std::optional<int>(0),
                                         std::optional<int>(1), std::optional<int>(9)}) {
    for (const std::size_t chunk_bytes : {1024UL, 262'144UL}) {
      PartWriter writer(folder / "part.h5", {}, {.deflate = level, .chunk_bytes = chunk_bytes});
      for (int i = 0; i < 5; ++i) writer.append(test::example_clip(i));
      writer.finish();
      const PartReader part(folder / "part.h5");
      EXPECT_EQ(part.read(4).pyramids[0].layers[1].edges,
                test::example_clip(4).pyramids[0].layers[1].edges);
    }
  }
}

}  // namespace
}  // namespace cfp
