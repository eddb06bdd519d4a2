#include "stages/decode/video_decoder.h"

#include <map>
#include <numeric>
#include <ostream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "stages/decode/open_videos.h"
#include "stages/decode/video_writer.h"
#include "tests/support/synthetic_video.h"
#include "tests/support/test_data.h"

namespace cfp {
namespace {

using test::coded_number;
using test::synthetic_frame;
using test::SyntheticStream;
using test::TemporaryFolder;
using test::write_media;

std::map<std::int64_t, Frames> decoded(VideoDecoder& video, std::vector<std::int64_t> wanted) {
  std::map<std::int64_t, Frames> frames;
  video.decode(wanted, [&](std::int64_t index, const Frames& frame) { frames[index] = frame; });
  return frames;
}

std::vector<std::int64_t> all_frames(const VideoDecoder& video) {
  std::vector<std::int64_t> indices(video.frame_times_s().size());
  std::iota(indices.begin(), indices.end(), 0);
  return indices;
}

std::vector<int> numbers(VideoDecoder& video) {
  std::vector<int> result;
  for (const auto& [index, frame] : decoded(video, all_frames(video))) {
    result.push_back(coded_number(frame));
  }
  return result;
}

std::vector<int> count_up(int first, int count) {
  std::vector<int> result(static_cast<std::size_t>(count));
  std::iota(result.begin(), result.end(), first);
  return result;
}

TEST(VideoDecoder, GivesLosslessFramesBackUnchanged) {
  const TemporaryFolder folder;
  for (const auto& [width, height] : {std::pair{64, 48}, {63, 47}, {17, 8}, {1, 1}, {130, 33}}) {
    const auto path = folder / "lossless.mkv";
    write_media(path, {{.width = width, .height = height, .frames = 30}});
    VideoDecoder video({.path = path});
    EXPECT_EQ(video.info().frame_count, 30);
    EXPECT_EQ(video.info().width, width);
    EXPECT_EQ(video.info().height, height);
    const auto frames = decoded(video, {0, 7, 11, 12, 29});
    ASSERT_EQ(frames.size(), 5u);
    for (const auto& [index, frame] : frames) {
      EXPECT_EQ(frame.rgb_thwc, synthetic_frame(static_cast<int>(index), width, height).rgb_thwc)
          << "frame " << index << " of " << width << " x " << height;
    }
  }
}

TEST(VideoDecoder, TellsWhatTheFileIs) {
  const TemporaryFolder folder;
  const auto path = folder / "a.mkv";
  write_media(path, {{.frames = 30, .ticks_per_s = 10}});
  const VideoInfo info = probe(path);
  EXPECT_EQ(info.codec, "ffv1");
  EXPECT_EQ(info.pixel_format, "bgr0");
  EXPECT_EQ(info.rotation_degrees, 0);
  EXPECT_NEAR(info.duration_s, 3.0, 1e-9);
  EXPECT_NEAR(info.average_fps, 10.0, 1e-9);
  EXPECT_FALSE(info.is_variable_frame_rate);
  EXPECT_FALSE(info.is_listed_by_decoding);
}

TEST(VideoDecoder, GoesByTimeStampsWhereFramesAreUneven) {
  const TemporaryFolder folder;
  const std::vector<std::int64_t> stamps = {0, 40, 80, 1000, 1010, 1020, 3000, 3333, 5000, 5001};
  for (const char* name : {"vfr.mkv", "vfr.mp4"}) {
    const auto path = folder / name;
    const bool is_mp4 = path.extension() == ".mp4";
    write_media(path, {{.frames = 10,
                        .encoder = is_mp4 ? "mpeg4" : "ffv1",
                        .pixel_format = is_mp4 ? "yuv420p" : "bgr0",
                        .ticks_per_s = 1000,
                        .pts = stamps}});
    VideoDecoder video({.path = path});
    EXPECT_TRUE(video.info().is_variable_frame_rate);
    ASSERT_EQ(video.frame_times_s().size(), 10u);
    for (std::size_t i = 0; i < stamps.size(); ++i) {
      EXPECT_NEAR(video.frame_times_s()[i], static_cast<double>(stamps[i]) / 1000, 1e-9);
    }
    EXPECT_EQ(numbers(video), count_up(0, 10));
    VideoDecoder part({.path = path, .start_s = 0.08, .end_s = 3.0});
    EXPECT_EQ(numbers(part), count_up(2, 4));  // 0.08 belongs, 3.0 no longer
  }
}

TEST(VideoDecoder, CountsTimeFromTheFirstFrame) {
  const TemporaryFolder folder;
  const auto path = folder / "late.mkv";
  std::vector<std::int64_t> stamps(20);
  std::iota(stamps.begin(), stamps.end(), 250);  // the first frame is stamped 10 s
  write_media(path, {{.frames = 20, .ticks_per_s = 25, .pts = stamps}});
  VideoDecoder video({.path = path, .start_s = 0.2, .end_s = 0.4});
  EXPECT_NEAR(video.info().start_time_s, 10, 1e-3);
  EXPECT_EQ(numbers(video), count_up(5, 5));
}

TEST(VideoDecoder, ListsFramesByDecodingWherePacketsHaveNoStamps) {
  const TemporaryFolder folder;
  // AVI has no presentation times, so with B-frames the packets do not tell the order.
  const auto path = folder / "b_frames.avi";
  write_media(path, {{.frames = 40, .encoder = "mpeg4", .pixel_format = "yuv420p", .b_frames = 2}});
  VideoDecoder video({.path = path});
  EXPECT_TRUE(video.info().is_listed_by_decoding);
  EXPECT_EQ(video.info().frame_count, 40);
  EXPECT_EQ(numbers(video), count_up(0, 40));
  for (int i = 0; i < 40; ++i) {
    EXPECT_NEAR(video.frame_times_s()[static_cast<std::size_t>(i)], i / 25.0, 0.5 / 25);
  }
  VideoDecoder again({.path = path, .start_s = 0.8});
  EXPECT_EQ(coded_number(decoded(again, {3}).at(3)), 23);
}

TEST(VideoDecoder, ReadsABareStreamThatHasNoTimesAtAll) {
  if (!test::has_encoder("libx264")) GTEST_SKIP() << "this FFmpeg has no libx264";
  const TemporaryFolder folder;
  const auto path = folder / "bare.h264";
  write_media(path,
              {{.frames = 40, .encoder = "libx264", .pixel_format = "yuv420p", .b_frames = 3}});
  VideoDecoder video({.path = path});
  EXPECT_EQ(numbers(video), count_up(0, 40));
  EXPECT_NEAR(video.info().average_fps, 25, 0.01);
}

TEST(VideoDecoder, ReadsATransportStream) {
  if (!test::has_encoder("libx264")) GTEST_SKIP() << "this FFmpeg has no libx264";
  const TemporaryFolder folder;
  const auto path = folder / "broadcast.ts";
  write_media(path,
              {{.frames = 40, .encoder = "libx264", .pixel_format = "yuv420p", .b_frames = 3}});
  VideoDecoder video({.path = path, .start_s = 0.4, .end_s = 0.8});
  EXPECT_EQ(numbers(video), count_up(10, 10));
}

/// Turns a picture clockwise by quarters, pixel by pixel.
Frames turned(const Frames& frame, int degrees) {
  if (degrees == 0) return frame;
  Frames result{.length = 1,
                .height = frame.width,
                .width = frame.height,
                .rgb_thwc = std::vector<std::uint8_t>(frame.rgb_thwc.size())};
  for (std::int64_t y = 0; y < frame.height; ++y) {
    for (std::int64_t x = 0; x < frame.width; ++x) {
      for (int c = 0; c < 3; ++c) {
        const std::int64_t to_x = frame.height - 1 - y;
        result.rgb_thwc[static_cast<std::size_t>((x * result.width + to_x) * 3 + c)] =
            frame.rgb_thwc[static_cast<std::size_t>((y * frame.width + x) * 3 + c)];
      }
    }
  }
  return turned(result, degrees - 90);
}

TEST(VideoDecoder, TurnsFramesAsTheMetadataAsk) {
  const TemporaryFolder folder;
  const auto straight_path = folder / "straight.mp4";
  SyntheticStream stream{
      .width = 66, .height = 48, .frames = 3, .encoder = "mpeg4", .pixel_format = "yuv420p"};
  write_media(straight_path, {stream});
  VideoDecoder straight({.path = straight_path});
  const auto expected = decoded(straight, {0, 2});
  for (const int degrees : {90, 180, 270}) {
    const auto path = folder / "turned.mp4";
    stream.rotation_degrees = degrees;
    write_media(path, {stream});
    VideoDecoder video({.path = path});
    EXPECT_EQ(video.info().rotation_degrees, degrees);
    EXPECT_EQ(video.info().width, degrees == 180 ? 66 : 48);
    for (const auto& [index, frame] : decoded(video, {0, 2})) {
      const Frames turned_frame = turned(expected.at(index), degrees);
      EXPECT_EQ(frame.width, turned_frame.width);
      EXPECT_EQ(frame.rgb_thwc, turned_frame.rgb_thwc) << degrees << " degrees";
    }
  }
}

TEST(VideoDecoder, RefusesATurnThatIsNoQuarter) {
  const TemporaryFolder folder;
  const auto path = folder / "skew.mp4";
  write_media(
      path, {{.frames = 3, .encoder = "mpeg4", .pixel_format = "yuv420p", .rotation_degrees = 45}});
  try {
    VideoDecoder video({.path = path});
    FAIL();
  } catch (const DataError& error) {
    EXPECT_EQ(error.reason(), FailureReason::kDecodeError);
    EXPECT_THAT(error.what(), testing::HasSubstr("a turn by 45.0 degrees"));
  }
}

TEST(VideoDecoder, TakesTheDefaultVideoStreamAndNoCover) {
  const TemporaryFolder folder;
  const auto path = folder / "several.mkv";
  write_media(path, {{.kind = SyntheticStream::Kind::kAudio},
                     {.width = 128, .height = 96, .first_number = 100},
                     {.first_number = 7, .is_default = true}});
  VideoDecoder video({.path = path});
  EXPECT_EQ(video.info().stream_index, 2);
  EXPECT_EQ(numbers(video), count_up(7, 40));

  const auto with_cover = folder / "cover.mp4";
  write_media(with_cover, {{.kind = SyntheticStream::Kind::kCover, .width = 256, .height = 256},
                           {.encoder = "mpeg4", .pixel_format = "yuv420p"}});
  VideoDecoder covered({.path = with_cover});
  EXPECT_EQ(covered.info().codec, "mpeg4");
  EXPECT_EQ(numbers(covered), count_up(0, 40));
}

/// Colours by the definition of the matrices, ITU-R BT.601, BT.709 and BT.2020.
std::array<double, 3> rgb_of(const std::array<int, 3>& codes, double kr, double kb, bool is_full,
                             int bits) {
  const double scale = 1 << (bits - 8);
  const double luma = is_full ? codes[0] / (256 * scale - 1) : (codes[0] / scale - 16) / 219;
  const double range = is_full ? 256 * scale - 1 : 224 * scale;
  const double blue = (codes[1] - 128 * scale) / range;
  const double red = (codes[2] - 128 * scale) / range;
  const double r = luma + 2 * (1 - kr) * red;
  const double b = luma + 2 * (1 - kb) * blue;
  const double g = (luma - kr * r - kb * b) / (1 - kr - kb);
  return {r * 255, g * 255, b * 255};
}

struct ColourCase {
  const char* pixel_format;
  const char* matrix;
  const char* range;
  bool is_full;
  double kr, kb;
  int bits;
};

void PrintTo(const ColourCase& c, std::ostream* out) {
  *out << c.pixel_format << ", matrix '" << c.matrix << "', range '" << c.range << "'";
}

class VideoDecoderColours : public testing::TestWithParam<ColourCase> {};

TEST_P(VideoDecoderColours, FollowTheMatrixTheRangeAndTheDepth) {
  const ColourCase& colour = GetParam();
  const TemporaryFolder folder;
  const auto path = folder / "flat.mkv";
  const int scale = 1 << (colour.bits - 8);
  const std::array<int, 3> codes = {110 * scale + scale / 2, 100 * scale, 160 * scale};
  write_media(path, {{.width = 32,
                      .height = 18,
                      .frames = 2,
                      .pixel_format = colour.pixel_format,
                      .matrix = colour.matrix,
                      .range = colour.range,
                      .flat_yuv = codes}});
  VideoDecoder video({.path = path});
  const Frames frame = decoded(video, {1}).at(1);
  const auto expected = rgb_of(codes, colour.kr, colour.kb, colour.is_full, colour.bits);
  for (std::size_t i = 0; i < frame.rgb_thwc.size(); ++i) {
    // 1: swscale's fixed-point coefficients, then rounding to 8 bits.
    ASSERT_NEAR(frame.rgb_thwc[i], expected[i % 3], 1.0) << "byte " << i;
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, VideoDecoderColours,
    testing::Values(ColourCase{"yuv420p", "", "", false, .299, .114, 8},
                    ColourCase{"yuv420p", "smpte170m", "tv", false, .299, .114, 8},
                    ColourCase{"yuv420p", "bt709", "tv", false, .2126, .0722, 8},
                    ColourCase{"yuv420p", "bt709", "pc", true, .2126, .0722, 8},
                    ColourCase{"yuv444p", "bt709", "tv", false, .2126, .0722, 8},
                    ColourCase{"yuv420p10le", "bt709", "tv", false, .2126, .0722, 10},
                    ColourCase{"yuv420p10le", "", "", false, .299, .114, 10},
                    ColourCase{"yuv422p10le", "bt2020nc", "pc", true, .2627, .0593, 10},
                    ColourCase{"yuv420p", "", "pc", true, .299, .114, 8}));

TEST(VideoDecoder, TakesYuvjFormatsForFullRange) {
  const TemporaryFolder folder;
  const auto path = folder / "flat.avi";
  const std::array<int, 3> codes = {235, 128, 128};  // white in limited range, 235 in full
  write_media(path, {{.width = 32,
                      .height = 16,
                      .frames = 2,
                      .encoder = "mjpeg",
                      .pixel_format = "yuvj420p",
                      .options = "qmin=1:qmax=1",
                      .flat_yuv = codes}});
  VideoDecoder video({.path = path});
  const Frames frame = decoded(video, {0}).at(0);
  EXPECT_NEAR(frame.rgb_thwc[0], 235, 2);  // 2: a JPEG at its best quantiser
}

TEST(VideoDecoder, ReadsPartOfALongFile) {
  const TemporaryFolder folder;
  const auto path = folder / "long.mov";
  // 640 x 360 x 3 bytes a frame: 110 frames are 76 MB, above what is kept or read as a whole.
  write_media(path, {{.width = 640,
                      .height = 360,
                      .frames = 110,
                      .encoder = "rawvideo",
                      .pixel_format = "rgb24",
                      .gop = 1}});
  VideoDecoder part({.path = path, .start_s = 2.0, .end_s = 2.4});
  EXPECT_LT(part.info().frame_count, 60);
  EXPECT_EQ(numbers(part), count_up(50, 10));
  EXPECT_NEAR(part.frame_times_s()[0], 2.0, 1e-9);
  EXPECT_NEAR(part.end_time_s(), 2.4, 1e-9);

  // 100 frames of it are more than is kept in memory, so that they are read a second time.
  OpenVideos open;
  for (int time = 0; time < 3; ++time) {
    VideoDecoder most({.path = path, .start_s = 0.2, .end_s = 4.2}, {}, FrameList::kFromPackets,
                      &open);
    ASSERT_EQ(most.frame_times_s().size(), 100u);
    const auto frames = decoded(most, {0, 99});
    EXPECT_EQ(frames.at(0).rgb_thwc, synthetic_frame(5, 640, 360).rgb_thwc);
    EXPECT_EQ(frames.at(99).rgb_thwc, synthetic_frame(104, 640, 360).rgb_thwc);
  }

  VideoDecoder whole({.path = path});
  EXPECT_EQ(whole.info().frame_count, 110);
  const auto frames = decoded(whole, {3, 109});
  EXPECT_EQ(frames.at(109).rgb_thwc, synthetic_frame(109, 640, 360).rgb_thwc);
}

TEST(VideoDecoder, SaysWhatASegmentWithoutFramesLacks) {
  const TemporaryFolder folder;
  const auto path = folder / "short.mkv";
  write_media(path, {{.frames = 25}});
  try {
    VideoDecoder video({.path = path, .start_s = 20, .end_s = 30});
    FAIL();
  } catch (const DataError& error) {
    EXPECT_EQ(error.reason(), FailureReason::kTooShort);
    EXPECT_THAT(error.what(), testing::HasSubstr("no frame is shown from 20 s to 30 s; the video "
                                                 "has 1.000 s"));
  }
}

TEST(VideoDecoder, CanDecodeTwice) {
  const TemporaryFolder folder;
  const auto path = folder / "a.mkv";
  write_media(path, {{}});
  VideoDecoder video({.path = path});
  const auto once = decoded(video, {20});
  EXPECT_EQ(decoded(video, {3}).at(3).rgb_thwc, synthetic_frame(3, 64, 48).rgb_thwc);
  EXPECT_EQ(decoded(video, {20}).at(20).rgb_thwc, once.at(20).rgb_thwc);
  EXPECT_THROW(decoded(video, {5, 5}), std::logic_error);
  EXPECT_THROW(decoded(video, {40}), std::logic_error);
}

TEST(VideoDecoder, OpensNamesThatLookLikeSomethingElse) {
  const TemporaryFolder folder;
  for (const char* name :
       {"http:clip.mkv", "a#b&c;d [1].mkv", "-x.mkv", "%03d.mkv", "пример.mkv"}) {
    const auto path = folder / name;
    write_media(folder / "plain.mkv", {{.frames = 3}});
    std::filesystem::rename(folder / "plain.mkv", path);
    EXPECT_EQ(probe(path).frame_count, 3) << name;
  }
}

}  // namespace
}  // namespace cfp
