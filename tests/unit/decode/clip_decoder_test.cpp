#include "stages/decode/clip_decoder.h"

#include <algorithm>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/synthetic_video.h"
#include "tests/support/test_data.h"

namespace cfp {
namespace {

using test::synthetic_frame;
using test::TemporaryFolder;
using test::write_media;
using testing::ElementsAre;

std::vector<int> numbers(const Clip& clip) {
  std::vector<int> result;
  for (std::int64_t t = 0; t < clip.frames.length; ++t) {
    result.push_back(
        test::coded_number({.length = 1,
                            .height = clip.frames.height,
                            .width = clip.frames.width,
                            .rgb_thwc = {clip.frames.frame(t),
                                         clip.frames.frame(t) + clip.frames.bytes_per_frame()}}));
  }
  return result;
}

TEST(ClipDecoder, GivesTheClipThatWasAskedFor) {
  const TemporaryFolder folder;
  const std::string path = folder / "a.mkv";
  write_media(path, {{.frames = 40}});
  const ClipDecoder decode({.clip_len = 4, .frame_interval = 3}, preprocess_preset("demo"));
  const ClipRequest request{.row = 5, .clip_id = "five", .media = {path}, .label = 2};
  const auto clips = decode(request);
  ASSERT_EQ(clips.size(), 1u);
  EXPECT_EQ(clips[0].request, request);
  EXPECT_EQ(clips[0].view, 0);
  EXPECT_EQ(clips[0].frames.height, 48);
  EXPECT_EQ(clips[0].frames.width, 64);
  EXPECT_THAT(numbers(clips[0]), ElementsAre(15, 18, 21, 24));
  EXPECT_THAT(clips[0].frame_times_s,
              ElementsAre(testing::DoubleNear(0.60, 1e-9), testing::DoubleNear(0.72, 1e-9),
                          testing::DoubleNear(0.84, 1e-9), testing::DoubleNear(0.96, 1e-9)));
  EXPECT_GT(clips[0].decode_s, 0);
  const Frames expected = synthetic_frame(18, 64, 48);
  EXPECT_TRUE(
      std::equal(expected.rgb_thwc.begin(), expected.rgb_thwc.end(), clips[0].frames.frame(1)));
}

TEST(ClipDecoder, SamplesWithinTheSegment) {
  const TemporaryFolder folder;
  const std::string path = folder / "a.mkv";
  write_media(path, {{.frames = 100}});
  const ClipDecoder decode({.clip_len = 4, .num_clips = 2, .policy = SamplingPolicy::kUniform},
                           preprocess_preset("demo"));
  const auto clips = decode({.media = {path, 2.0, 2.4}});  // frames 50 to 59
  ASSERT_EQ(clips.size(), 2u);
  EXPECT_THAT(numbers(clips[0]), ElementsAre(50, 51, 52, 53));
  EXPECT_THAT(numbers(clips[1]), ElementsAre(56, 57, 58, 59));
  EXPECT_EQ(clips[1].view, 1);
}

TEST(ClipDecoder, LoopsAShortSegment) {
  const TemporaryFolder folder;
  const std::string path = folder / "a.mkv";
  write_media(path, {{.frames = 3}});
  const ClipDecoder decode({.clip_len = 8}, preprocess_preset("demo"));
  EXPECT_THAT(numbers(decode({.media = {path}})[0]), ElementsAre(0, 1, 2, 0, 1, 2, 0, 1));
}

TEST(ClipDecoder, ResamplesToTheTargetRate) {
  const TemporaryFolder folder;
  const std::string path = folder / "vfr.mkv";
  write_media(path, {{.frames = 6, .ticks_per_s = 1000, .pts = {0, 100, 200, 600, 700, 800}}});
  const ClipDecoder decode({.clip_len = 8, .target_fps = 10}, preprocess_preset("demo"));
  // Shown at 0, 0.1, … 0.8: 0 1 2 2 2 2 3 4 5 (and 5 to the end); the middle eight of those.
  EXPECT_THAT(
      numbers(decode({.media = {path}})[0]),
      testing::AnyOf(ElementsAre(0, 1, 2, 2, 2, 2, 3, 4), ElementsAre(1, 2, 2, 2, 2, 3, 4, 5)));
}

TEST(ClipDecoder, ResizesAndCrops) {
  const TemporaryFolder folder;
  const std::string path = folder / "a.mkv";
  write_media(path, {{.width = 200, .height = 150, .frames = 20}});
  const ClipDecoder decode({.clip_len = 16}, preprocess_preset("kenshohara2018"));
  const auto clips = decode({.media = {path}});
  EXPECT_EQ(clips[0].frames.height, 112);
  EXPECT_EQ(clips[0].frames.width, 112);
  EXPECT_EQ(clips[0].frames.rgb_thwc.size(), 16u * 112 * 112 * 3);
}

TEST(ClipDecoder, GivesTheCropsOfEachClipOneAfterTheOther) {
  const TemporaryFolder folder;
  const std::string path = folder / "a.mkv";
  write_media(path, {{.width = 64, .height = 48, .frames = 40}});
  PreprocessOptions preprocess = preprocess_preset("demo");
  preprocess.crop = 48;
  const SamplingOptions one{.clip_len = 4, .num_clips = 2, .policy = SamplingPolicy::kUniform};
  SamplingOptions three = one;
  three.crops = 3;
  const auto clips = ClipDecoder(three, preprocess)({.media = {path}});
  ASSERT_EQ(static_cast<int>(clips.size()), view_count(three));
  const auto middles = ClipDecoder(one, preprocess)({.media = {path}});
  for (int view = 0; view < 6; ++view) {
    const Clip& clip = clips[static_cast<std::size_t>(view)];
    EXPECT_EQ(clip.view, view);
    const Clip& middle = middles[static_cast<std::size_t>(view / 3)];
    EXPECT_EQ(clip.frame_times_s, middle.frame_times_s);
    EXPECT_EQ(clip.frames.rgb_thwc == middle.frames.rgb_thwc, view % 3 == 1);
    // The left column of crop c is column 8 c of the frame.
    const auto number = static_cast<int>(std::lround(clip.frame_times_s[2] * 25));
    const Frames whole = synthetic_frame(number, 64, 48);
    for (std::int64_t y = 0; y < 48; ++y) {
      const std::uint8_t* row = whole.rgb_thwc.data() + (y * 64 + 8 * (view % 3)) * 3;
      ASSERT_TRUE(std::equal(row, row + 48 * 3, clip.frames.frame(2) + y * 48 * 3));
    }
  }
}

TEST(ClipDecoder, ListsAgainWherePacketsPromiseFramesThatAreNeverShown) {
  if (!test::has_encoder("mpeg2video")) GTEST_SKIP() << "this FFmpeg has no mpeg2video";
  const TemporaryFolder folder;
  const std::string whole = folder / "whole.mkv";
  write_media(whole, {{.frames = 60,
                       .encoder = "mpeg2video",
                       .pixel_format = "yuv420p",
                       .gop = 12,
                       .b_frames = 2}});
  // Cut at a key frame within open groups: the B-frames that lead it lack what they refer to.
  const std::string path = folder / "cut.mkv";
  const std::string command =
      "ffmpeg -v error -ss 0.9 -i '" + whole + "' -c copy '" + path + "' 2>/dev/null";
  if (std::system(command.c_str()) != 0) GTEST_SKIP() << "the program ffmpeg is not installed";
  const ClipDecoder decode({.clip_len = 8, .num_clips = 2, .policy = SamplingPolicy::kUniform},
                           preprocess_preset("demo"));
  const auto clips = decode({.media = {path}});
  const std::vector<int> first = numbers(clips[0]);
  for (std::size_t t = 1; t < first.size(); ++t)
    EXPECT_EQ(first[t], first[0] + static_cast<int>(t));
  EXPECT_EQ(numbers(clips[1]).back(), 59);
}

TEST(ClipDecoder, GivesTheSameFromManyThreads) {
  const TemporaryFolder folder;
  const std::string path = folder / "a.mp4";
  write_media(path, {{.frames = 60, .encoder = "mpeg4", .pixel_format = "yuv420p", .b_frames = 2}});
  const ClipDecoder decode({.clip_len = 16}, preprocess_preset("mfnet"));
  const auto expected = decode({.media = {path}});
  std::vector<std::vector<Clip>> results(8);
  {
    std::vector<std::jthread> threads;
    for (auto& result : results) threads.emplace_back([&] { result = decode({.media = {path}}); });
  }
  for (const auto& result : results) {
    EXPECT_TRUE(result[0].frames.rgb_thwc == expected[0].frames.rgb_thwc);
  }
}

TEST(ClipDecoder, RefusesOptionsThatCannotWork) {
  EXPECT_THROW(ClipDecoder({.clip_len = 0}, preprocess_preset("demo")), ConfigError);
  EXPECT_THROW(ClipDecoder({}, preprocess_preset("demo"), {.time_limit_s = 0}), ConfigError);
  PreprocessOptions preprocess = preprocess_preset("i3d");
  preprocess.crop = 300;
  EXPECT_THROW(ClipDecoder({}, preprocess), ConfigError);
  EXPECT_THROW(ClipDecoder({.crops = 2}, preprocess_preset("i3d")), ConfigError);
  EXPECT_NO_THROW(ClipDecoder({.crops = 3}, preprocess_preset("i3d")));
  preprocess.crop = 0;
  EXPECT_THROW(ClipDecoder({.crops = 3}, preprocess), ConfigError);
}

TEST(ClipDecoder, SaysThatFramesAreSmallerThanTheCrop) {
  const TemporaryFolder folder;
  const std::string path = folder / "small.mkv";
  write_media(path, {{.frames = 20}});
  PreprocessOptions preprocess = preprocess_preset("demo");
  preprocess.crop = 50;
  try {
    ClipDecoder({}, preprocess)({.media = {path}});
    FAIL();
  } catch (const DataError& error) {
    EXPECT_EQ(error.reason(), FailureReason::kTooSmall);
    EXPECT_EQ(std::string(error.what()),
              path + ": frames of 64 x 48 pixels are smaller than the crop of 50");
  }
}

TEST(RealClips, DecodeWithEveryPreset) {
  const auto clips = test::test_data() / "clips";
  CFP_SKIP_WITHOUT(clips);
  for (const std::string& name : preprocess_preset_names()) {
    const ClipDecoder decode({.clip_len = 16}, preprocess_preset(name));
    for (const char* file : {"arm_wrestling.mp4", "rotated_90.mov", "unordered.mov"}) {
      const auto result = decode({.media = {(clips / file).string()}});
      const int crop = preprocess_preset(name).crop;
      EXPECT_TRUE(crop == 0 || result[0].frames.width == crop) << file << ", " << name;
    }
  }
}

}  // namespace
}  // namespace cfp
