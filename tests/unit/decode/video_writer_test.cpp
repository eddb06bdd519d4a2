#include "stages/decode/video_writer.h"

#include <fstream>
#include <iterator>
#include <limits>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "stages/core/errors.h"
#include "stages/decode/video_decoder.h"
#include "tests/support/synthetic_video.h"
#include "tests/support/test_data.h"

namespace cfp {
namespace {

using Codec = VideoWriterOptions::Codec;
using test::synthetic_frame;
using test::TemporaryFolder;
using testing::HasSubstr;

void write(const std::filesystem::path& path, Codec codec, int frames = 20, double fps = 25) {
  VideoWriter writer(path, 64, 48, {.fps = fps, .codec = codec});
  for (int t = 0; t < frames; ++t) writer.write(synthetic_frame(t, 64, 48).rgb_thwc.data());
  writer.finish();
}

std::string bytes(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

TEST(VideoWriter, WritesFramesThatReadBack) {
  const TemporaryFolder folder;
  for (const auto& [codec, name] : {std::pair{Codec::kAuto, "a.mp4"},
                                    {Codec::kMpeg4, "b.mp4"},
                                    {Codec::kMpeg4, "b.mkv"},
                                    {Codec::kFfv1, "c.mkv"}}) {
    const auto path = folder / name;
    write(path, codec);
    VideoDecoder video({.path = path});
    EXPECT_EQ(video.info().frame_count, 20) << name;
    EXPECT_NEAR(video.info().average_fps, 25, 1e-6) << name;
    std::vector<std::int64_t> wanted = {0, 9, 19};
    video.decode(wanted, [&](std::int64_t index, const Frames& frame) {
      EXPECT_EQ(test::coded_number(frame), index) << name;
      if (codec == Codec::kFfv1) {
        EXPECT_EQ(frame.rgb_thwc, synthetic_frame(static_cast<int>(index), 64, 48).rgb_thwc);
      }
    });
  }
}

TEST(VideoWriter, KeepsColours) {
  const TemporaryFolder folder;
  for (const Codec codec : {Codec::kAuto, Codec::kMpeg4}) {
    const auto path = folder / "red.mp4";
    std::vector<std::uint8_t> picture;
    for (int i = 0; i < 64 * 48; ++i) picture.insert(picture.end(), {200, 40, 90});
    VideoWriter writer(path, 64, 48, {.codec = codec, .crf = 10});
    for (int t = 0; t < 5; ++t) writer.write(picture.data());
    writer.finish();
    VideoDecoder video({.path = path});
    video.decode(std::vector<std::int64_t>{3}, [&](std::int64_t, const Frames& frame) {
      // 4: two roundings to limited range, and the quantiser on a flat picture.
      EXPECT_NEAR(frame.rgb_thwc[3000], 200, 4);
      EXPECT_NEAR(frame.rgb_thwc[3001], 40, 4);
      EXPECT_NEAR(frame.rgb_thwc[3002], 90, 4);
    });
  }
}

TEST(VideoWriter, GivesEqualBytesForEqualFrames) {
  const TemporaryFolder folder;
  for (const auto& [codec, extension] :
       {std::pair{Codec::kAuto, ".mp4"}, {Codec::kMpeg4, ".mp4"}, {Codec::kFfv1, ".mkv"}}) {
    write(folder / (std::string("one") + extension), codec);
    write(folder / (std::string("two") + extension), codec);
    EXPECT_TRUE(bytes(folder / (std::string("one") + extension)) ==
                bytes(folder / (std::string("two") + extension)));
  }
}

TEST(VideoWriter, KeepsOddFrameRates) {
  const TemporaryFolder folder;
  write(folder / "ntsc.mp4", Codec::kAuto, 30, 30000.0 / 1001);
  EXPECT_NEAR(probe(folder / "ntsc.mp4").average_fps, 29.97002997, 1e-6);
}

TEST(VideoWriter, KeepsTheTimeOfEachFrame) {
  const TemporaryFolder folder;
  // Irregular, with a long gap, and an end that no next frame tells.
  const std::vector<double> times_s = {0, 0.04, 0.05, 0.5, 1001.0 / 1500, 3};
  for (const auto& [codec, name] : {std::pair{Codec::kAuto, "a.mp4"}, {Codec::kMpeg4, "b.mp4"}}) {
    VideoWriter writer(folder / name, 64, 48,
                       {.codec = codec, .has_times = true, .title = "a \"clip\" <é>"});
    for (std::size_t t = 0; t < times_s.size(); ++t) {
      const double end_s = t + 1 < times_s.size() ? times_s[t + 1] : 3.7;
      writer.write(synthetic_frame(static_cast<int>(t), 64, 48).rgb_thwc.data(), times_s[t],
                   end_s - times_s[t]);
    }
    writer.finish();
    VideoDecoder video({.path = folder / name});
    ASSERT_EQ(video.frame_times_s().size(), times_s.size()) << name;
    for (std::size_t t = 0; t < times_s.size(); ++t) {
      EXPECT_NEAR(video.frame_times_s()[t], times_s[t], 0.5 / 60000) << name;  // rounded to a tick
    }
    EXPECT_NEAR(video.end_time_s(), 3.7, 1.0 / 60000) << name;
    video.decode(std::vector<std::int64_t>{0, 3, 5}, [&](std::int64_t index, const Frames& frame) {
      EXPECT_EQ(test::coded_number(frame), index) << name;
    });
  }
}

TEST(VideoWriter, RefusesFramesOutOfTime) {
  const TemporaryFolder folder;
  const Frames frame = synthetic_frame(0, 64, 48);
  VideoWriter writer(folder / "a.mp4", 64, 48, {.has_times = true});
  writer.write(frame.rgb_thwc.data(), 1, 0.1);
  const double none = std::numeric_limits<double>::quiet_NaN();
  for (const auto& [time_s, duration_s] :
       {std::pair{1.0, 0.1}, {0.5, 0.1}, {-1.0, 0.1}, {none, 0.1}, {2.0, 0.0}, {2.0, none}}) {
    EXPECT_THROW(writer.write(frame.rgb_thwc.data(), time_s, duration_s), std::invalid_argument);
  }
  EXPECT_THROW(writer.write(frame.rgb_thwc.data()), std::logic_error);
  VideoWriter steady(folder / "b.mp4", 64, 48);
  EXPECT_THROW(steady.write(frame.rgb_thwc.data(), 0, 1), std::logic_error);
}

TEST(VideoWriter, LeavesNothingBehindWithoutFinish) {
  const TemporaryFolder folder;
  {
    VideoWriter writer(folder / "a.mp4", 64, 48);
    writer.write(synthetic_frame(0, 64, 48).rgb_thwc.data());
  }
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

TEST(VideoWriter, ReplacesAFileOnlyWhenDone) {
  const TemporaryFolder folder;
  const auto path = folder / "a.mp4";
  std::ofstream(path) << "before";
  VideoWriter writer(path, 64, 48);
  writer.write(synthetic_frame(0, 64, 48).rgb_thwc.data());
  EXPECT_EQ(bytes(path), "before");
  writer.finish();
  EXPECT_EQ(probe(path).frame_count, 1);
  EXPECT_THROW(writer.finish(), std::logic_error);
}

TEST(VideoWriter, SaysWhatItCannotWrite) {
  const TemporaryFolder folder;
  const auto message = [&](const std::string& name, int width, int height,
                           VideoWriterOptions options) -> std::string {
    try {
      VideoWriter writer(folder / name, width, height, options);
    } catch (const ConfigError& error) {
      return error.what();
    }
    return "no error";
  };
  EXPECT_THAT(message("a.mp4", 0, 48, {}), HasSubstr("0 x 48 pixels cannot be written"));
  EXPECT_THAT(message("a.mp4", 63, 48, {.codec = Codec::kH264}), HasSubstr("needs even sides"));
  EXPECT_THAT(message("a.mp4", 64, 48, {.fps = 0}), HasSubstr("fps is 0"));
  EXPECT_THAT(message("a.mp4", 64, 48, {.crf = 52}), HasSubstr("crf is 52"));
  EXPECT_THAT(message("a.gif", 64, 48, {}), HasSubstr(".mp4 or .mkv"));
  EXPECT_THAT(message("a.mp4", 64, 48, {.codec = Codec::kFfv1}), HasSubstr("FFV1"));
  try {
    VideoWriter writer(folder / "no/such/folder/a.mp4", 64, 48);
    FAIL();
  } catch (const SystemError& error) {
    EXPECT_THAT(error.what(), HasSubstr("No such file or directory"));
  }
}

TEST(VideoWriter, SaysThatTheDiskIsFull) {
  if (!std::filesystem::exists("/dev/full")) GTEST_SKIP() << "needs /dev/full";
  const TemporaryFolder folder;
  const auto path = folder / "a.mp4";
  // The writer opens its temporary file by name, so that name can lead to a full device.
  std::filesystem::create_symlink("/dev/full", path.string() + ".tmp-" + std::to_string(getpid()));
  EXPECT_THROW(write(path, Codec::kMpeg4), SystemError);
  EXPECT_FALSE(std::filesystem::exists(path));
}

}  // namespace
}  // namespace cfp
