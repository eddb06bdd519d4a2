// Skipping and jumping must not change a byte; and what comes out must be what FFmpeg's own program
// gives.
#include <algorithm>
#include <cstdio>
#include <map>
#include <memory>
#include <numeric>
#include <ostream>
#include <random>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "stages/decode/video_decoder.h"
#include "tests/support/synthetic_video.h"
#include "tests/support/test_data.h"

namespace cfp {
namespace {

using test::SyntheticStream;
using test::TemporaryFolder;

std::map<std::int64_t, std::vector<std::uint8_t>> decoded(const std::string& path,
                                                          std::vector<std::int64_t> wanted,
                                                          FrameList list) {
  VideoDecoder video({.path = path}, {}, list);
  if (wanted.empty()) {
    wanted.resize(video.frame_times_s().size());
    std::iota(wanted.begin(), wanted.end(), 0);
  }
  std::map<std::int64_t, std::vector<std::uint8_t>> frames;
  video.decode(wanted, [&](std::int64_t i, const Frames& frame) { frames[i] = frame.rgb_thwc; });
  return frames;
}

/// Decodes random choices of frames and compares them with decoding all frames in order, which
/// neither skips nor jumps.
void expect_exact(const std::string& path) {
  const auto all = decoded(path, {}, FrameList::kFromDecoding);
  std::mt19937 random(7);
  for (int trial = 0; trial < 12; ++trial) {
    std::vector<std::int64_t> indices(all.size());
    std::iota(indices.begin(), indices.end(), 0);
    std::vector<std::int64_t> wanted;
    const auto count = std::min<std::size_t>(all.size(), 1 + random() % 16);
    std::ranges::sample(indices, std::back_inserter(wanted), count, random);
    const auto frames = decoded(path, wanted, FrameList::kFromPackets);
    ASSERT_EQ(frames.size(), wanted.size());
    for (const auto& [index, frame] : frames) {
      ASSERT_TRUE(frame == all.at(index)) << path << ": frame " << index << " of trial " << trial;
    }
  }
}

struct CodecCase {
  const char* file;
  const char* encoder;
  const char* pixel_format;
  const char* options;
  int b_frames;
};

void PrintTo(const CodecCase& c, std::ostream* out) {
  *out << c.file << ", " << c.encoder << ", " << c.pixel_format;
}

class Exactness : public testing::TestWithParam<CodecCase> {};

TEST_P(Exactness, SkippingAndJumpingChangeNoByte) {
  const CodecCase& codec = GetParam();
  if (!test::has_encoder(codec.encoder)) GTEST_SKIP() << "this FFmpeg has no " << codec.encoder;
  const TemporaryFolder folder;
  const auto path = folder / codec.file;
  test::write_media(path, {{.width = 96,
                            .height = 64,
                            .frames = 90,
                            .encoder = codec.encoder,
                            .pixel_format = codec.pixel_format,
                            .options = codec.options,
                            .gop = 15,
                            .b_frames = codec.b_frames}});
  expect_exact(path);
  VideoDecoder video({.path = path});
  EXPECT_EQ(video.frame_times_s().size(), 90u);
}

INSTANTIATE_TEST_SUITE_P(
    Codecs, Exactness,
    testing::Values(
        CodecCase{"closed.mp4", "libx264", "yuv420p", "", 3},
        CodecCase{"open.mp4", "libx264", "yuv420p", "x264-params=open-gop=1", 3},
        CodecCase{"intra_refresh.mkv", "libx264", "yuv420p", "x264-params=intra-refresh=1", 0},
        CodecCase{"pyramid.mkv", "libx264", "yuv420p10le", "x264-params=b-pyramid=strict", 5},
        CodecCase{"annex_b.ts", "libx264", "yuv420p", "", 2},
        CodecCase{"interlaced.mp4", "libx264", "yuv420p", "x264-params=interlaced=1", 2},
        CodecCase{"plain.mp4", "mpeg4", "yuv420p", "", 0},
        CodecCase{"b.mp4", "mpeg4", "yuv420p", "", 2},
        CodecCase{"b.avi", "mpeg4", "yuv420p", "", 2},
        CodecCase{"plain.avi", "mpeg4", "yuv420p", "", 0},
        CodecCase{"b.mkv", "mpeg2video", "yuv420p", "", 2},
        CodecCase{"b.mpg", "mpeg2video", "yuv420p", "", 2},
        CodecCase{"altref.webm", "libvpx", "yuv420p", "auto-alt-ref=1:lag-in-frames=10", 0},
        CodecCase{"vp9.webm", "libvpx-vp9", "yuv420p", "auto-alt-ref=1:cpu-used=8", 0},
        CodecCase{"intra.avi", "mjpeg", "yuvj420p", "", 0},
        CodecCase{"lossless.mkv", "ffv1", "yuv420p", "", 0}));

TEST(RealClips, SkippingAndJumpingChangeNoByte) {
  const auto clips = test::test_data() / "clips";
  CFP_SKIP_WITHOUT(clips);
  for (const char* name : {"arm_wrestling.mp4", "flipping_a_pancake.mkv", "nasa_13013.mp4",
                           "h265_video.mp4", "av1_video.mkv", "rotated_90.mov", "unordered.mov"}) {
    expect_exact(clips / name);
  }
}

/// What a program prints.
std::vector<std::uint8_t> output_of(const std::string& command) {
  const std::unique_ptr<FILE, int (*)(FILE*)> pipe(popen(command.c_str(), "r"), pclose);
  std::vector<std::uint8_t> bytes;
  std::vector<std::uint8_t> block(1 << 20);
  while (const std::size_t count = std::fread(block.data(), 1, block.size(), pipe.get())) {
    bytes.insert(bytes.end(), block.begin(), block.begin() + static_cast<std::ptrdiff_t>(count));
  }
  return bytes;
}

TEST(RealClips, EqualWhatTheFfmpegProgramGives) {
  const auto clips = test::test_data() / "clips";
  CFP_SKIP_WITHOUT(clips);
  if (std::system("ffmpeg -version > /dev/null 2>&1") != 0) {
    GTEST_SKIP() << "the program ffmpeg is not installed";
  }
  const std::map<std::string, int> stream_of = {
      {"arm_wrestling.mp4", 0}, {"flipping_a_pancake.mkv", 0}, {"nasa_13013.mp4", 3},
      {"h265_video.mp4", 0},    {"av1_video.mkv", 0},          {"unordered.mov", 0}};
  for (const auto& [name, stream] : stream_of) {
    const std::string path = clips / name;
    VideoDecoder video({.path = path});
    EXPECT_EQ(video.info().stream_index, stream) << name;
    // The same flags as FrameConverter's, so that not one byte may differ.
    const auto expected = output_of(
        "ffmpeg -v error -i '" + path + "' -map 0:" + std::to_string(stream) +
        " -fps_mode passthrough -sws_flags bilinear+accurate_rnd+full_chroma_int -pix_fmt rgb24 "
        "-f rawvideo -");
    const auto frames = decoded(path, {}, FrameList::kFromPackets);
    std::size_t offset = 0;
    for (const auto& [index, frame] : frames) {
      ASSERT_LE(offset + frame.size(), expected.size()) << name << ": frame " << index;
      ASSERT_TRUE(std::equal(frame.begin(), frame.end(),
                             expected.begin() + static_cast<std::ptrdiff_t>(offset)))
          << name << ": frame " << index;
      offset += frame.size();
    }
    EXPECT_EQ(offset, expected.size()) << name << ": number of frames";
  }
}

}  // namespace
}  // namespace cfp
